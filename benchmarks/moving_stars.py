"""Labels of stars that move, beside those of the same stars at rest: a table by S/N.

    specsim generate --rv=-300..300 --splits train=1000,val=600,test=2000 --seed 5 --out moving.zarr
    specsim generate --splits train=10,val=10,test=2000 --seed 5 --out still.zarr
    speclearn train moving.zarr --target logg --target teff --target m_h --out moving_model
    python -m benchmarks.moving_stars moving_model moving.zarr models/compressed still.zarr

Efficiency is the squared error of the exact posterior mean of the stars at rest, over that of the
model: no star gets better by moving. The exact mean is that of draws of the model at rest, weighed
by the likelihood. ``exact`` is the same of the moving stars, their velocity integrated out: what is
possible. ``lost`` are spectra read in a frame more than 30 km/s from their star.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.posterior.compression import RESIDUAL
from starsmith.learners import Predictor, load_checkpoint
from starsmith.learners.prediction.posterior_draws import draw_posterior
from starsmith.learners.preprocess import iterate_blocks, select_labels
from starsmith.simulator.generation.recorded import open_recorded

BLOCK, N_DRAW = 256, 500


def moving_stars(model: Predictor, split: Split) -> dict[str, np.ndarray]:
    """Values, 1σ, exact ones, and how far each velocity lies from its frame's [km/s]."""
    parts, eye = [], model.estimator.eye
    for rows in iterate_blocks(len(split), BLOCK):
        seen = split.observe(rows)
        value, width = model.predict(seen.flux, seen.error)
        frame = eye.project(seen.flux, seen.error)[2]
        away = split.draws.rv[rows] - eye.moving.frames.velocities[frame]
        drawn = draw_posterior(model, seen, N_DRAW)
        part = {"value": value, "width": width, "away": np.abs(away)}
        parts.append(part | {"exact": drawn.moments()[0], "effective": drawn.efficiency})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stars_at_rest(model: Predictor, split: Split) -> dict[str, np.ndarray]:
    """Values of the model, and exact ones."""
    parts = []
    for rows in iterate_blocks(len(split), BLOCK):
        seen = split.observe(rows)
        exact = draw_posterior(model, seen, N_DRAW).moments()[0]
        parts.append({"value": model.predict(seen.flux, seen.error)[0], "exact": exact})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("moving_model", "moving_data", "still_model", "still_data"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    model, still_model = map(load_checkpoint, (options.moving_model, options.still_model))
    split, still = (
        open_recorded(path).split("test") for path in (options.moving_data, options.still_data)
    )
    truth = select_labels(split, model.labels)
    if not np.allclose(truth, select_labels(still, still_model.labels)):
        parser.error("the stars at rest are others; make both with the same seed and labels")
    moving, rest, snr = moving_stars(model, split), stars_at_rest(still_model, still), split.snr
    bins = [("all", np.ones(len(snr), dtype=bool))]
    bins += [
        (f"{low:g}-{high:g}", (snr >= low) & (snr < high)) for low, high in pairwise(SNR_EDGES)
    ]
    rows = []
    for name, some in bins:
        if some.sum() < 20:
            continue
        row = {
            "S/N": name,
            "n": int(some.sum()),
            "lost": f"{np.mean(moving['away'][some] > RESIDUAL):.3f}",
            "effective": "{1:.0%} ({0:.0%})".format(
                *np.percentile(moving["effective"][some], (5, 50))
            ),
        }
        for k, label in enumerate(model.labels):
            best, own, possible, other = (
                np.mean((found[some, k] - truth[some, k]) ** 2)
                for found in (rest["exact"], moving["value"], moving["exact"], rest["value"])
            )
            inside = np.abs(moving["value"] - truth)[some, k] < moving["width"][some, k]
            row |= {
                label: f"{best / own:.2f}",
                f"{label} exact": f"{best / possible:.2f}",
                f"{label} at rest": f"{best / other:.2f}",
                f"{label} in 1σ": f"{inside.mean():.2f}",
            }
        rows.append(row)
    print(text_table(rows))


if __name__ == "__main__":
    main()
