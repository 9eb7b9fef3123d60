"""What a learner might be told about the noise of a spectrum, and two learners to read it."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.noise.view import Realisation, honest_error, observe_spectra
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.simulator.observe import draw_stars, model_flux, observe
from starsmith.simulator.prior import Prior

BLOCK = 1000  # stars rendered at a time
IDEAL_BLOCK = 5000
OTHER = 1_000_003  # added to the seed: stars of other labels, magnitudes and skies
VARYING = ("seeing", "zenith_angle", "field_angle")
KINDS = ("observed", "smooth", "retold", "retold smooth", "twin", "flat", "second", "true")
PENALTIES = np.logspace(-5, 4, 19)  # per training spectrum
KEPT = 0.8  # of the training stars; the others choose the penalty and the number of trees


@dataclass(frozen=True)
class Pixels:
    """Which pixels a learner sees: first to last, ``size`` neighbours averaged to one number."""

    first: int = 0
    last: int | None = None
    size: int = 1

    def of(self, spectra: np.ndarray) -> np.ndarray:
        """Float32 (n_spec, n_seen)."""
        seen = spectra[:, self.first : self.last]
        if self.size > 1:
            seen = seen.reshape(len(seen), -1, self.size).mean(axis=2, dtype=np.float64)
        return seen.astype(np.float32)


def average_sky(prior: Prior, n: int) -> np.ndarray:
    """Conditions in the middle of the prior's ranges, float64 (n, 8)."""
    return np.tile([np.mean(prior.ranges[name]) for name in CONDITIONS], (n, 1))


def errors_of_stars(bank: Bank, prior: Prior, seed: int, split: str, index: np.ndarray):
    """Flux (n_spec, n_wave), every kind of error, the draws.

    ``observed`` and ``smooth`` are what is served. ``retold``: the same formulae, of the same
    noisy flux, under one average sky for all stars: functions of flux alone. ``twin``: the
    observed error of another star of the same magnitude under the same sky. ``flat``: that of
    a source without lines, as bright as the median. ``second``: the observed error of another
    exposure of the star, never served. ``true``: what the noise is drawn with, never served.
    """
    draws = draw_stars(bank, prior, seed, split, index)
    tables, sky, model = bank.noise, draws.conditions, model_flux(bank, draws)
    flux, observed, true = observe_spectra(tables, model, sky, draws.key)
    other = draw_stars(bank, prior, seed + OTHER, split, index)
    other.mag[:] = draws.mag
    level = np.broadcast_to(np.median(flux, axis=1, keepdims=True), flux.shape)
    mean_sky = average_sky(prior, len(index))
    errors = {
        "observed": observed,
        "smooth": honest_error(tables, flux, sky, "smooth"),
        "retold": honest_error(tables, flux, mean_sky),
        "retold smooth": honest_error(tables, flux, mean_sky, "smooth"),
        "twin": observe_spectra(tables, model_flux(bank, other), sky, other.key)[1],
        "flat": honest_error(tables, level.astype(np.float32), sky),
        "second": observe_spectra(tables, model, sky, draws.key, drawn=Realisation("training"))[1],
        "true": true,
    }
    return flux, errors, draws


def noise_inputs(
    bank: Bank, prior: Prior, n: int, seed: int, split: str, pixels: Pixels
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs by name, float32 (n, n_column) each, and log g (n,).

    Flux is over its own median. An error is over its own median, which goes beside it as one
    number, log of its ratio to that of the flux: in units of the flux its level, 30 times
    brighter in one star than in another, would drown its shape.
    """
    found: dict[str, list] = {}
    logg = np.empty(n)
    for start in range(0, n, BLOCK):
        index = np.arange(start, min(start + BLOCK, n))
        flux, errors, draws = errors_of_stars(bank, prior, seed, split, index)
        logg[index] = draws.label("logg")
        median = np.median(flux, axis=1, keepdims=True)
        made = {"flux": pixels.of(flux / median)}
        for kind, error in errors.items():
            level = np.median(error, axis=1, keepdims=True)
            made[kind] = np.hstack([pixels.of(error / level), np.log(level / median)])
            made[f"{kind} in units of flux"] = pixels.of(error / median)
        made["level"] = made["observed"][:, -1:]
        sky = [draws.conditions[:, CONDITIONS.index(name)] for name in VARYING]
        made["sky"] = np.column_stack([*sky, np.log(median)])
        made |= colours(flux, made["level"])
        rng = np.random.default_rng([seed, start, split == "test"])
        made["random"] = rng.standard_normal(made["flux"].shape, dtype=np.float32)
        for name, values in made.items():
            found.setdefault(name, []).append(values.astype(np.float32))
    return {name: np.concatenate(parts) for name, parts in found.items()}, logg


def left_by_ideal(
    bank: Bank, prior: Prior, n: int, seed: int, split: str, n_template: int = 40_000
) -> np.ndarray:
    """Log g less its posterior mean given flux and conditions, float64 (n,).

    Nothing that is a function of flux and conditions can predict any of it.
    """
    options = PosteriorOptions(n_template=n_template)
    left = np.empty(n)
    for start in range(0, n, IDEAL_BLOCK):
        index = np.arange(start, min(start + IDEAL_BLOCK, n))
        batch = observe(bank, draw_stars(bank, prior, seed, split, index), error="smooth")
        sky = batch.draws.conditions
        found = posterior_mean(bank, prior, batch.flux, batch.error, sky, options=options)
        left[index] = batch.draws.label("logg") - found.of("logg")[0]
    return left


def colours(flux: np.ndarray, level: np.ndarray) -> dict[str, np.ndarray]:
    """Broadband colours: means of two to sixteen bands over that of all.

    ``windows``: means over 801 pixels, 400 apart, those that the smooth error is made of, and
    each times the level of the noise, as the smooth error has them.
    """
    mean = flux.mean(axis=1, keepdims=True)
    found = {
        f"{n} bands": np.stack([b.mean(axis=1) for b in np.array_split(flux, n, axis=1)], 1) / mean
        for n in (2, 4, 8, 16)
    }
    n_wave = flux.shape[1]
    knots = [*range(0, n_wave - 1, 400), n_wave - 1]
    means = [flux[:, max(k - 400, 0) : k + 401].mean(axis=1) for k in knots]
    windows = np.stack(means, axis=1) / mean
    found["windows"] = np.hstack([windows, windows * level, windows * np.exp(level), level])
    return found


def parted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stars a learner of this seed is fitted to, and those that choose its complexity."""
    order = np.random.default_rng(seed).permutation(n)
    return np.split(order, [int(KEPT * n)])


def fit_ridge(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """Predictions of a linear map of standardised columns."""
    fitted, judged = parted(len(x), seed)
    mean, std = x[fitted].mean(axis=0), x[fitted].std(axis=0)
    std[std == 0.0] = 1.0
    scaled, choosing, seen = (
        ((z - mean) / std).astype(float) for z in (x[fitted], x[judged], x_test)
    )
    level = y[fitted].mean()
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    moment = vectors.T @ (scaled.T @ (y[fitted] - level))
    candidates = vectors @ (moment[:, None] / (values[:, None] + PENALTIES * len(scaled)))
    missed = np.square(y[judged, None] - level - choosing @ candidates).sum(axis=0)
    return level + seen @ candidates[:, missed.argmin()]


def fit_trees(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """Predictions of boosted trees, as many as the stars left out ask for."""
    import lightgbm

    fitted, judged = parted(len(x), seed)
    chosen = {
        "objective": "regression", "learning_rate": 0.1, "num_leaves": 15, "max_bin": 63,
        "min_child_samples": 20, "feature_fraction": 0.5, "bagging_fraction": 0.5,
        "bagging_freq": 1, "num_threads": 1, "seed": seed, "deterministic": True,
        "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    train = lightgbm.Dataset(x[fitted], y[fitted], params=chosen)
    val = train.create_valid(x[judged], y[judged])
    stop = lightgbm.early_stopping(20, verbose=False)
    model = lightgbm.train(chosen, train, 600, valid_sets=[val], callbacks=[stop])
    return model.predict(x_test, num_threads=1)


FITS = {"ridge": fit_ridge, "trees": fit_trees}


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Fraction of the variance that is predicted."""
    return float(1.0 - np.mean((truth - predicted) ** 2) / truth.var())


def predicted(method: str, train, test, names: tuple[str, ...], seed: int = 0) -> np.ndarray:
    """Target of test stars from the named inputs side by side.

    ``train`` is inputs by name and target, ``test`` inputs by name.
    """
    inputs, target = train
    x, x_test = (np.hstack([part[name] for name in names]) for part in (inputs, test))
    return FITS[method](x, target, x_test, seed)
