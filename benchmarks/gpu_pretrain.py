"""Loss of the 42.7 M masked network on simulated spectra, beside a floor of principal components.

``python -m benchmarks.gpu_pretrain`` is for a GPU, made to take less than ten minutes there and not
run on one yet; ``--small`` takes a tiny network through a few steps on a CPU. Spectra are drawn
from a bank as they are learned from, none twice. The floor is what a least-squares guess of the
hidden pixels from the shown ones leaves that knows the first 64 principal components of the
spectra: no network, all linear.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from starsmith.cli.shared.options import BankSource
from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.online.online_view import OnlineView, open_online
from starsmith.learners.pretrain.encoder import Encoder, open_encoder
from starsmith.learners.pretrain.feeds import hiding_numbers
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import pretrain
from starsmith.simulator.prior import Prior

N_COMPONENT = 64
FULL = {"batch_size": 512, "epoch_size": 51_200, "epochs": 12, "precision": "bfloat16"}
SMALL = {"batch_size": 16, "epoch_size": 64, "epochs": 2, "precision": "float32"}


def components(view: OnlineView, encoder: Encoder) -> np.ndarray:
    """Mean and first principal components of training spectra as the network scales them."""
    seen = view.train.observe()
    scaled = torch.from_numpy(encoder.scaled(seen.flux))
    scaled = unit(scaled).double()
    _, _, right = torch.linalg.svd(scaled - scaled.mean(0), full_matrices=False)
    return torch.cat([scaled.mean(0)[None], right[:N_COMPONENT]]).numpy()


def unit(spectra: torch.Tensor) -> torch.Tensor:
    """Spectra at mean zero and variance one, as the network's first step makes them."""
    return (spectra - spectra.mean(1, keepdim=True)) / spectra.std(1, keepdim=True)


def floor(view: OnlineView, encoder: Encoder, known: np.ndarray, seed: int) -> float:
    """Loss on validation spectra of the best linear guess from the shown pixels."""
    seen = view.val.observe()
    spectra = unit(torch.from_numpy(encoder.scaled(seen.flux))).double().numpy()
    network = encoder.network
    rows, n = np.arange(len(spectra)), network.n_uniform
    hiding = hiding_numbers(seed, "val", rows, n, 0, torch.device("cpu"))
    hidden = network.hidden(hiding.to(encoder.device)).cpu().numpy()[:, 1:, -network.patch :]
    total, number = 0.0, 0
    for spectrum, patches in zip(spectra, hidden, strict=True):
        starts = network.stride * np.arange(len(patches))
        pixel = starts[:, None] + np.arange(network.patch)
        gone = np.zeros(spectrum.size, dtype=bool)
        gone[pixel[patches]] = True
        basis, away = known[1:, ~gone].T, (spectrum - known[0])[~gone]
        few = np.linalg.lstsq(basis, away, rcond=1e-6)[0]
        guess = known[0] + few @ known[1:]
        missed = (guess - spectrum)[pixel[patches]]
        total, number = total + float(missed @ missed), number + missed.size
    return total / number


def main() -> None:
    """Train, and print the curve beside the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--bank", type=Path, help="by default that of the demo grid")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    bank = load_bank(given.bank) if given.bank else BankSource(bank=None).open()
    n_val, n_statistics = (32, 256) if given.small else (1000, 8192)
    ranges = dict(Prior.default().ranges)
    view = open_online(bank, ranges, n_val=n_val, n_statistics=n_statistics)
    model = "masked_tiny" if given.small else "lrs_masked"
    options = {"patch": 20, "stride": 10} if given.small else {"n_position": 0}
    keys = (SMALL if given.small else FULL) | {"options": options, "scaling": "pixel"}
    recipe = load_pretraining(model, **keys)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = pretrain(model, view, recipe, Path(folder) / "run", device=given.device)
        seconds = time.perf_counter() - start
        encoder = open_encoder(result.path, device=given.device)
        lines = (result.path / "metrics.jsonl").read_text().splitlines()
        rows = [
            {key: row[key] for key in ("epoch", "step", "train_loss", "val_loss")}
            for row in map(json.loads, lines)
        ]
        least = floor(view, encoder, components(view, encoder), recipe.seed)
    memory = torch.cuda.max_memory_allocated() / 2**30 if given.device != "cpu" else 0.0
    print(text_table(rows))
    print(
        f"{given.device}, torch {torch.__version__}: {encoder.card['n_parameters']:,} parameters, "
        f"{seconds:.0f} s, {memory:.1f} GiB; floor of {N_COMPONENT} principal components "
        f"{least:.4f}"
    )
    if given.json:
        given.json.write_text(json.dumps({"rows": rows, "floor": least, "seconds": seconds}))


if __name__ == "__main__":
    main()
