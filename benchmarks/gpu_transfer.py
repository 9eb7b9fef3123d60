"""Time of a fine-tuning on a device: every strategy, the MLP of the LAMOST to DESI paper.

``python -m benchmarks.gpu_transfer`` is for a GPU; ``--small`` takes less than a minute on a CPU.
The paper trains 2,069 stars for 200 epochs in about 20 s on a V100.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from starsmith.data_contract.text_tables import text_table
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.train import fit
from starsmith.learners.transfer.base import Base, open_base
from starsmith.learners.transfer.finetune import Plan, finetune
from starsmith.learners.transfer.samples import Sample, training_view, white_noise
from starsmith.learners.transfer.strategies import Strategy, list_strategies

N_WAVE = 1462


def toy(n: int, seed: int, tilt: float) -> Sample:
    """Stars whose label sets the depth of twenty lines."""
    labels = np.random.default_rng(seed).uniform(-2.0, 0.5, (n, 1))
    pixel = np.arange(N_WAVE)
    lines = sum(np.exp(-0.5 * ((pixel - 70 * k - 40) / 3.0) ** 2) for k in range(20))
    flux = (1.0 - (0.3 + 0.1 * labels) * lines) * (1.0 + tilt * (pixel / N_WAVE - 0.5))
    return Sample(
        wave=4000.0 + pixel,
        flux=flux.astype(np.float32),
        label_names=("m_h",),
        labels=labels,
        noise=white_noise(30.0, 100.0, seed),
    )


def base_of(folder: Path, small: bool, device: str) -> Base:
    widths = (64, 32) if small else (1024, 512, 64)
    recipe = NetworkRecipe(
        learning_rate=1e-3, batch_size=256, epochs=2 if small else 10, options={"widths": widths}
    )
    view = training_view(toy(500 if small else 20_000, 1, 0.0), toy(200, 2, 0.0))
    fit("mlp", view, "m_h", recipe, folder, device=device)
    return open_base(folder)


def measure(base: Base, strategy: str, small: bool, device: str) -> dict:
    n, epochs = (100, 3) if small else (2069, 200)
    view = training_view(toy(n, 3, 0.4), toy(n, 4, 0.4), fresh=False)
    plan = Plan(
        strategy=Strategy(name=strategy, rank=128, alpha=256.0),
        rates=(1e-4,),
        epochs=epochs,
        patience=0,
    )
    start = time.perf_counter()
    found = finetune(base, view, plan, device=device)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    counts = found.card["parameters"]
    return {
        "strategy": strategy,
        "trained": counts["n_trainable"],
        "of base": counts["of_base"],
        "seconds": seconds,
        "stars/s": 0.0 if strategy == "zero_shot" else n * epochs / seconds,
        "R2 val": found.card["model_card"]["metrics"]["val_r2"]["m_h"],
    }


def agreement(base: Base, device: str) -> float:
    """Largest difference of zero-shot validation R² between the device and the CPU."""
    view = training_view(toy(50, 3, 0.4), toy(200, 4, 0.4), fresh=False)
    plan = Plan(strategy=Strategy(name="zero_shot"))
    scores = [
        finetune(base, view, plan, device=where).card["model_card"]["metrics"]["val_r2"]["m_h"]
        for where in ("cpu", device)
    ]
    return abs(scores[0] - scores[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = base_of(Path(folder) / "base", given.small, given.device)
        rows = [measure(base, name, given.small, given.device) for name in list_strategies()]
        apart = agreement(base, given.device)
    print(text_table(rows))
    print(f"{given.device}, torch {torch.__version__}: zero-shot R2 less a CPU's {apart:.1e}")
    if given.json:
        given.json.write_text(json.dumps({"device": given.device, "rows": rows, "apart": apart}))


if __name__ == "__main__":
    main()
