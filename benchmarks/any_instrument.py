"""One network for every instrument, on one that it has never seen: a table in Markdown.

``python -m benchmarks.any_instrument --out bench/any --report any_instrument.md``
Surveys of the laboratory and data sets of PFS arms, all of one grid; each of ``--unseen`` is left
out once. Beside it is the compressed estimator, refitted for that instrument alone: its own command
for PFS, the same features, network and head on the laboratory's fresh stars for a survey.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from starsmith.cli.learn.lab_world import sample_of
from starsmith.cli.shared.progress import told_bank
from starsmith.cli.sim.generate import requested
from starsmith.data_contract.dataset.training import TrainingView, join_views
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.posterior.compression import Compression
from starsmith.fisher.posterior.spline_cells import SplineAxes
from starsmith.learners import fit, load_checkpoint, load_recipe
from starsmith.learners.any_instrument.training import plain_sight
from starsmith.learners.compressed.features import Features
from starsmith.learners.compressed.network import build_network
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.compressed.rounds import adam, learn_round
from starsmith.learners.estimators.registry import with_forward
from starsmith.learners.transfer.samples import training_view
from starsmith.simulator.domains.domain import Domain, Knobs, build_domain
from starsmith.simulator.domains.second_physics import LAB_AXES, first_grid
from starsmith.simulator.generation.recorded import open_recorded
from starsmith.simulator.synthesis import Sampling

LABELS = ("teff", "logg", "m_h")
GRIDS = {
    "optical": Sampling(wave_min=3700.0, wave_max=9800.0),
    "h": Sampling(wave_min=15_000.0, wave_max=17_000.0, resolution=35_000.0, stride=3),
}
SURVEYS = {"lamost_lrs": "optical", "desi": "optical", "gaia_xp": "optical", "apogee": "h"}
PFS = ("pfs_r", "pfs_mr")
ROUNDS, ROUND = 12, 3000  # of the compressed estimator of a survey; stars seen twice are seen anew
N_RESAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Seen:
    """An instrument: stars to learn from, stars to be judged on, its compressed estimator."""

    name: str
    view: TrainingView
    test: Observed
    truth: np.ndarray
    domain: Domain | None = None
    path: Path | None = None


def grid_of(name: str):
    """A grid of the laboratory's nodes."""
    return first_grid(LAB_AXES, GRIDS[name])


def survey(name: str, args: argparse.Namespace) -> Seen:
    """A survey of the laboratory."""
    domain = build_domain(name, Knobs(seed=3), grid_of(SURVEYS[name]))
    splits = (("source", args.stars), ("source_val", 500))
    view = training_view(*(sample_of(domain, split, n) for split, n in splits))
    view = replace(
        view,
        train=replace(view.train, fwhm=domain.survey.fwhm),
        val=replace(view.val, fwhm=domain.survey.fwhm),
    )
    stars = domain.draw(args.test, "test")
    test = Observed(domain.survey.wave, stars.observe(), stars.sigma.astype(np.float32))
    return Seen(name, view, test, stars.labels, domain=domain)


def pfs(name: str, args: argparse.Namespace) -> Seen:
    """An arm of PFS, stars of magnitude 17 to 20.5, made once."""
    path = args.out / f"{name}.zarr"
    if not path.exists():
        grid = args.out / "grid.zarr"
        if not grid.exists():
            from starsmith.data_contract.grid.grid_file import write_grid

            write_grid(grid, grid_of("optical"))
        words = ["--grid", str(grid), "--instrument", name, "--teff", "4000..6000", "--logg"]
        words += ["1..5", "--m-h", "-2.5..0.5", "--mag", "17..20.5", "--out", str(path)]
        words += ["--splits", f"train={args.stars},val=500,test={args.test}", "--workers", "1"]
        requested(words).write(lambda *_: None)
    dataset = open_recorded(path)
    split = dataset.split("test")
    columns = [split.label(label) for label in LABELS]
    return Seen(
        name, dataset.training(), split.observe(), np.stack(columns, axis=1), path=path
    )  # fmt: skip


def cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for, all threads."""
    return sum(os.times()[:4])


def compressed(seen: Seen, args: argparse.Namespace) -> np.ndarray:
    """Posterior means of the compressed estimator, refitted for this instrument alone."""
    if seen.domain is not None:
        return compressed_survey(seen, seen.domain, args)
    out = args.out / f"compressed_{seen.name}"
    dataset = open_recorded(seen.path)
    view = with_forward("compressed", dataset.training(), dataset, told_bank)
    recipe = load_recipe("compressed", learning_rate=1e-3, epochs=20)  # bright stars: 4e-3 diverges
    fit("compressed", view, LABELS, recipe, out)
    return load_checkpoint(out).predict(seen.test.flux, seen.test.error, seen.test.mask)[0]


def compressed_survey(seen: Seen, domain: Domain, args: argparse.Namespace) -> np.ndarray:
    """The same features, network and head, on a survey's stars under fresh noise."""
    own = load_recipe("compressed")
    recipe = load_recipe("any_instrument", components=own.components, batch_size=256)
    torch.manual_seed(0)
    low, high = domain.box
    draw, box = np.random.default_rng(0), Box(low, high)
    templates = domain.spectra(draw.uniform(low, high, (4000, low.size)))
    weight = 1.0 / domain.survey.shape
    modes = np.linalg.svd(templates * weight, full_matrices=False)[2][: own.n_mode]
    none = np.empty((0, own.n_mode + 1), np.float32)
    basis = Compression(weight, modes, none, SplineAxes((), (), 3))
    features = Features.measure(basis, (templates * weight) @ modes.T)
    network = build_network(features.n_input, len(LABELS), recipe)
    optimiser = adam(network, recipe, 1.0)
    for number in range(ROUNDS):
        labels = draw.uniform(low, high, (ROUND, low.size))
        plain = domain.spectra(labels).astype(np.float32)
        snr = np.exp(draw.uniform(*np.log(domain.survey.snr), ROUND))
        sigma = domain.sigma_of(plain, snr).astype(np.float32)
        parts = []
        for _ in range(own.n_noise):
            noise = draw.standard_normal(plain.shape, np.float32)
            if domain.mixing is not None:
                noise = noise @ domain.mixing.T.astype(np.float32)
            parts.append(features.of(*features.project(plain + sigma * noise, sigma)))
        place = np.tile(box.place(labels), (own.n_noise, 1)).astype(np.float32)
        sight, target = plain_sight(np.concatenate(parts), len(LABELS)), torch.from_numpy(place)
        loss = learn_round(
            lambda batch, s=sight, p=target: network.loss(s[batch], p[batch]),
            len(sight), optimiser, recipe, (number / ROUNDS, (number + 1) / ROUNDS),
        )  # fmt: skip
        print(seen.name, number, f"{loss:.3f}", f"{cpu_seconds():.0f} CPU s", flush=True)
    seen_by = features.of(*features.project(seen.test.flux, seen.test.error))
    return network.eval().answer(plain_sight(seen_by, len(LABELS)), box).moments()[0]


def general(seen: Seen, others: list[Seen], args: argparse.Namespace) -> np.ndarray:
    """What one network, trained on other instruments, reads off this one."""
    name = f"any_without_{seen.name}" if seen not in others else "any"
    out = args.out / name
    view = join_views([one.view for one in others])
    recipe = load_recipe("any_instrument", epochs=args.epochs)
    fit("any_instrument", view, LABELS, recipe, out)
    fwhm = seen.view.train.fwhm
    model = load_checkpoint(out).on(seen.test.wave, fwhm)
    return model.predict(seen.test.flux, seen.test.error, seen.test.mask)[0]


def r2_of(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """R² of every label, (..., n_label), over the axis before the last."""
    left = np.square(truth - value).mean(axis=-2)
    return 1.0 - left / truth.var(axis=-2)


def rows_of(seen: Seen, what: str, value: np.ndarray, own: np.ndarray) -> Iterator[dict]:
    """A row per label: R², the ratio to the compressed estimator's, RMSE over RMSE; 95 %."""
    picks = np.random.default_rng(0).integers(len(own), size=(N_RESAMPLE, len(own)))
    ratio = r2_of(seen.truth, value) / r2_of(seen.truth, own)
    drawn = r2_of(seen.truth[picks], value[picks]) / r2_of(seen.truth[picks], own[picks])
    worse = np.sqrt((1.0 - r2_of(seen.truth, value)) / (1.0 - r2_of(seen.truth, own)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    error = np.sqrt(np.square(seen.truth - value).mean(axis=0))
    for k, label in enumerate(LABELS):
        yield {
            "instrument": seen.name,
            "network": what,
            "label": label,
            "R2": f"{r2_of(seen.truth, value)[k]:.4f}",
            "R2 compressed": f"{r2_of(seen.truth, own)[k]:.4f}",
            "ratio [95 %]": f"{ratio[k]:.4f} [{low[k]:.4f}, {high[k]:.4f}]",
            "RMSE": f"{error[k]:.3g}",
            "RMSE over compressed": f"{worse[k]:.2f}",
        }


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/any"))
    parser.add_argument("--report", type=Path, default=None)
    parser.add_argument("--unseen", nargs="+", default=["desi", "pfs_mr"])
    parser.add_argument("--stars", type=int, default=1500, help="to learn from, an instrument")
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--unseen-only", action="store_true")
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    every = [survey(name, args) for name in SURVEYS] + [pfs(name, args) for name in PFS]
    rows: list[dict] = []
    spent: list[dict] = []

    def timed(what: str, work: Callable[[], np.ndarray]) -> np.ndarray:
        start = cpu_seconds()
        value = work()
        spent.append({"fit": what, "CPU s": f"{cpu_seconds() - start:.0f}"})
        return value

    for seen in [one for one in every if one.name in args.unseen]:
        others = [one for one in every if one is not seen]
        name = seen.name
        own = timed(f"compressed, {name}", lambda s=seen: compressed(s, args))
        unseen = timed(f"one network, without {name}", lambda s=seen, o=others: general(s, o, args))
        rows += rows_of(seen, "never seen", unseen, own)
        report(rows, spent, args)
        if not args.unseen_only:
            whole = timed("one network, all", lambda s=seen: general(s, every, args))
            rows += rows_of(seen, "trained on all", whole, own)
            report(rows, spent, args)


def report(rows: list[dict], spent: list[dict], args: argparse.Namespace) -> None:
    """Print what is known so far, and write it where asked."""
    text = f"# One network for every instrument\n\n{text_table(rows)}\n\n{text_table(spent)}\n"
    print(text, flush=True)
    if args.report is not None:
        args.report.write_text(text)


if __name__ == "__main__":
    main()
