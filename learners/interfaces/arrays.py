"""Spectra and labels in arrays, as what `fit` takes: for those who have no data set on disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.observed import Observed
from starsmith.learners.recipe import Recipe, load_recipe

__all__ = ["array_view", "recipe_for_arrays"]

LEAST = 4  # spectra: some to fit, one to choose by


def _split(
    name: str, seen: Observed, labels: np.ndarray, label_names: tuple[str, ...], rows: np.ndarray
) -> TrainingSplit:
    flux, mask = seen.flux[rows].astype(np.float32), seen.mask[rows].astype(np.uint32)
    error = None if seen.error is None else seen.error[rows].astype(np.float32)

    def observe(some: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        """Spectra of some rows; every epoch has the same noise."""
        at = slice(None) if some is None else some
        own = None if error is None else error[at]
        return SpectrumView(wave=seen.wave, flux=flux[at], error=own, mask=mask[at])

    def load(cache: object = None) -> None:
        """They are in memory already."""

    snr = np.zeros(len(rows))
    if error is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            snr = np.nan_to_num(np.median(flux / error, axis=1))
    return TrainingSplit(
        name=name,
        wave=np.asarray(seen.wave, np.float64),
        label_names=label_names,
        labels=labels[rows],
        snr=snr,
        index=np.arange(len(rows)),
        fresh_noise=False,
        observe=observe,
        load=load,
    )


def array_view(
    seen: Observed,
    labels: np.ndarray,
    label_names: Sequence[str],
    val_fraction: float = 0.1,
    seed: int = 0,
) -> TrainingView:
    """Training and validation splits of spectra in memory.

    Parameters
    ----------
    seen : Observed
        Spectra (n_spec, n_wave) on common pixels.
    labels : float array, shape (n_spec, n_label)
    label_names : sequence of str
    val_fraction : float
        Share kept for validation, drawn by ``seed``; at least one spectrum.
    seed : int

    Raises
    ------
    ConfigError
        If there are fewer than four spectra.
    """
    n_spec = len(seen)
    if n_spec < LEAST:
        raise ConfigError(
            f"n_samples={n_spec} spectra are too few to fit and to choose by; {LEAST} do"
        )
    n_val = int(np.clip(round(val_fraction * n_spec), 1, n_spec - 2))
    order = np.random.default_rng(seed).permutation(n_spec)
    digest = hashlib.sha256(np.ascontiguousarray(seen.flux).tobytes())
    digest.update(np.ascontiguousarray(labels).tobytes())
    names = tuple(label_names)
    return TrainingView(
        train=_split("train", seen, labels, names, np.sort(order[n_val:])),
        val=_split("val", seen, labels, names, np.sort(order[:n_val])),
        digest=digest.hexdigest(),
        notice="",
    )


def recipe_for_arrays(model: str, settings: dict | None = None) -> Recipe:
    """The packaged recipe of a model with one noise per spectrum, as arrays have, and settings."""
    recipe = load_recipe(model)
    given = {"noise_copies": 1} if hasattr(recipe, "noise_copies") else {}
    if hasattr(recipe, "noise"):
        given["noise"] = "fixed"
    return replace(recipe, **given | (settings or {}))
