"""Two processes that train together, and what each of them is made to meet; torchrun starts it.

    python -m torch.distributed.run --nproc-per-node 2 together.py OUT

Writes ``OUT/RANK.json``: what every scene ended with, and the seconds it took.
"""

import dataclasses
import json
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import torch

from starsmith.data_contract.errors import DataError
from starsmith.learners import fit
from starsmith.learners.training.applied import NetworkEstimator
from starsmith.learners.training.distributed import process_group, share_of_process
from starsmith.learners.training.feeds import StreamFeed
from starsmith.learners.training.step import Stepper
from tests.learners.test_training import RECIPE
from tests.learners.worlds import lines, make_data, uniform_logg


def on_one(rank, at, problem):
    """Wrap a method: its call number ``at`` in process ``rank`` fails."""

    def wrap(clean):
        calls = 0

        def method(self, *arguments):
            nonlocal calls
            calls += 1
            if share_of_process().rank == rank and calls >= at:
                raise problem
            return clean(self, *arguments)

        return method

    return wrap


@contextmanager
def failing(owner, name, wrap):
    with mock.patch.object(owner, name, wrap(getattr(owner, name))):
        yield


def full(words="CUDA out of memory"):
    return torch.OutOfMemoryError(words)


def no_number(clean):
    """The loss of the fifth step is no number in process 1 alone."""
    calls = 0

    def backward(self, batch):
        nonlocal calls
        calls += 1
        loss = clean(self, batch)
        bad = calls == 5 and share_of_process().rank == 1
        return loss * torch.nan if bad else loss

    return backward


SCENES = {
    "plain": None,
    "step": (Stepper, "backward", on_one(1, 3, full())),
    "step of the leader": (Stepper, "backward", on_one(0, 1, full("CUBLAS_STATUS_ALLOC_FAILED"))),
    "feed": (StreamFeed, "_made", on_one(1, 1, DataError("row 7: torn"))),
    "feed is full": (StreamFeed, "_made", on_one(1, 2, full())),
    "validation": (NetworkEstimator, "_blocks", on_one(1, 1, full())),
    "no number": (Stepper, "backward", no_number),
    "another run": None,
}


def main(out: Path) -> None:
    torch.set_num_threads(1)
    data = make_data(lines, uniform_logg, 0.2, (300, 100, 100))
    found = {}
    with process_group("cpu") as share:
        for name, scene in SCENES.items():
            start, folder = time.monotonic(), out / name
            recipe = RECIPE
            if name == "another run":
                folder, recipe = out / "plain", dataclasses.replace(RECIPE, seed=9)
            try:
                with failing(*scene) if scene else nullcontext():
                    fit("specvit_tiny", data.training(), "logg", recipe, folder, device="cpu")
                found[name] = ["done", "", 0]
            except Exception as problem:
                code = getattr(problem, "exit_code", None)
                found[name] = [type(problem).__name__, str(problem), code]
            found[name].append(time.monotonic() - start)
        (out / f"{share.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
