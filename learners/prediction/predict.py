"""Use a trained model: on the spectra of a split, or on one spectrum of your own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.described import described, span
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quality import flag_names
from starsmith.data_contract.rest_frame import shift_to_rest
from starsmith.data_contract.unit_conversion import plain_value
from starsmith.learners.adapter import read_model
from starsmith.learners.estimators.forward_model import plain_statistics
from starsmith.learners.estimators.registry import ForwardEstimator, kind_of
from starsmith.learners.prediction.own_pixels import check_wave, in_order_of
from starsmith.learners.prediction.radial_velocity import VelocityMeter
from starsmith.learners.prediction.split_table import table_of
from starsmith.learners.preprocess import Statistics, iterate_blocks
from starsmith.learners.quality import knows_velocities, quality_of

__all__ = [
    "LabelEstimate",
    "Predictor",
    "load_checkpoint",
    "predict",
    "predict_observed",
    "predict_spectrum",
]

PREFIX = "model."
LEAST_USABLE = 0.25  # of the pixels: below, what the others hold decides the answer


@described
@dataclass(frozen=True)
class Predictor:
    """A trained model that answers in label units.

    Attributes
    ----------
    card : dict
        What it is and what it was trained on; see ``docs/learners.md``.
    statistics : Statistics
    estimator : callable or ForwardEstimator
        Standardised flux -> (z-scores, their 1σ or None), or observed spectra -> labels.
    """

    card: dict
    statistics: Statistics
    estimator: Callable | ForwardEstimator

    def _facts(self) -> dict[str, object]:
        return {
            "model": self.card["model"],
            "labels": " ".join(self.labels),
            "pixels": f"{self.wave.size}, {span(self.wave)} Å",
            "velocities": self.velocities,
        }

    @property
    def velocities(self) -> str:
        """What it knows of stars that move, in words."""
        if not knows_velocities(self.card):
            return "stars at rest only"
        return "{:g}..{:g} km/s".format(*self.card["limits"]["velocity"])

    @property
    def labels(self) -> tuple[str, ...]:
        """What it predicts."""
        return tuple(self.card["labels"])

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each label."""
        return tuple(self.card["units"])

    @property
    def wave(self) -> np.ndarray:
        """The wavelength grid it accepts, float64 (n_wave,) [vacuum Å]."""
        return self.statistics.wave

    @property
    def any_pixels(self) -> bool:
        """Whether it reads spectra on pixels it was not trained on; see `on`."""
        return kind_of(self.card["model"]).any_pixels

    def on(self, wave: np.ndarray, fwhm: np.ndarray | None) -> "Predictor":
        """The same model for spectra on other pixels.

        Parameters
        ----------
        wave : float64 array, shape (n_wave,)
            Vacuum [Å], in the frame of the star.
        fwhm : float64 array, shape (n_wave,), or None
            Of lines, pixel included [Å].

        Raises
        ------
        DataError
            If the model reads its own pixels only, none of these lies where it was trained, or the
            width of lines is not known.
        """
        if not self.any_pixels:
            check_wave(self.wave, wave, "spectrum")
            return self
        if fwhm is None:
            raise DataError(
                f"spectrum: the width of its lines is unknown, and {self.card['model']} sees every "
                "pixel through it; state it with --resolution"
            )
        wave, fwhm = np.asarray(wave, dtype=np.float64), np.asarray(fwhm, dtype=np.float64)
        plain = plain_statistics(wave, len(self.labels))
        return Predictor(self.card, replace(plain, fwhm=fwhm), self.estimator.on(wave, fwhm))

    @cached_property
    def meter(self) -> VelocityMeter:
        """What measures radial velocities against the stars the model knows."""
        return VelocityMeter.of(self.statistics, self.estimator)

    def predict(
        self, flux: np.ndarray, error: np.ndarray | None = None, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict labels of spectra on the model's own wavelength grid.

        Parameters
        ----------
        flux : float array, shape (n_spec, n_wave)
            Observed flux, any linear unit; Quantities and masked arrays are honoured, see
            `Observed`.
        error : float array, optional
            1σ; models that compare spectra with templates need it, others only leave out pixels
            whose error is not finite and above 0.
        mask : integer array, shape (n_spec, n_wave), optional
            Flags of any width, 0 = good; all good by default.

        Returns
        -------
        value : float64 array, shape (n_spec, n_label)
            In label units; NaN of a spectrum that has too few usable pixels.
        uncertainty : float64 array, shape (n_spec, n_label), or None
            1σ, for models that have one.

        Raises
        ------
        DataError
            If shapes differ, no spectrum has pixels enough, or a model is not given the error
            that it needs.
        """
        seen = Observed(self.wave, flux, error, mask)
        if seen.flux.ndim != 2:
            raise DataError(
                f"spectra of shape {seen.flux.shape}; this model expects (n_spec, {self.wave.size})"
            )
        usable = seen.usable
        self._refuse_few(usable)
        return self._answer(seen, usable)

    def _answer(self, seen: Observed, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Values and 1σ of spectra in label units, NaN where too few pixels are left."""
        few = too_few(usable)
        flux = np.where(usable, seen.flux, 0).astype(np.float32, copy=False)
        bad = (~usable).astype(np.uint32)
        if kind_of(self.card["model"]).needs_error:
            if seen.error is None:
                raise DataError(
                    f"model {self.card['model']!r} weighs pixels by their error; give the 1σ error "
                    "of the spectrum (a column named error)"
                )
            error = np.where(usable, seen.error, 1).astype(np.float32, copy=False)
            value, width = self.estimator.estimate(flux, error, bad)
        else:
            scaled, width = self.estimator(self.statistics.normaliser.apply(flux, bad))
            value = self.statistics.scale.to_labels(scaled)
            width = None if width is None else self.statistics.scale.to_uncertainty(width)
        if few.any():
            value[few] = np.nan
            if width is not None:
                width[few] = np.nan
        return value, width

    def _refuse_few(self, usable: np.ndarray) -> None:
        """DataError where every spectrum has too few usable pixels for any answer."""
        if not too_few(usable).all():
            return
        most = int(usable.sum(axis=1).max())
        found = f"{most} usable pixels of {usable.shape[1]}" if most else "no usable pixel"
        raise DataError(
            f"{found}; this model needs {LEAST_USABLE:.0%} of its "
            f"{self.wave.size} pixels: mask 0, flux finite; an error must be positive and finite"
        )


def too_few(usable: np.ndarray) -> np.ndarray:
    """Whether each spectrum has too few usable pixels for any answer, bool (n_spec,)."""
    return usable.sum(axis=1) < LEAST_USABLE * usable.shape[1]


def load_checkpoint(path: Path | str, device: str | None = None) -> Predictor:
    """Read a checkpoint folder.

    Parameters
    ----------
    path : path
        What `fit` wrote, or an adapter that `finetune` wrote, with its base.
    device : str, optional
        torch device of networks; a GPU by default where there is one.

    Raises
    ------
    DataError, ContractError
        If the folder is no checkpoint, or is damaged.

    Examples
    --------
    >>> starsmith.load_checkpoint("ridge").labels
    ('logg',)
    """
    path = Path(path)
    card, tensors = read_model(path)
    weights = {n.removeprefix(PREFIX): v for n, v in tensors.items() if n.startswith(PREFIX)}
    estimator = kind_of(card["model"]).load(path, card, weights, device)
    return Predictor(card, Statistics.from_tensors(tensors), estimator)


@dataclass(frozen=True)
class LabelEstimate:
    """One predicted label of one spectrum.

    Attributes
    ----------
    label, unit : str
    value : float
    uncertainty : float or None
        1σ.
    quality : int
        Bits of `QUALITY_BITS`; 0 is an answer without a reservation.
    """

    label: str
    value: float
    uncertainty: float | None
    unit: str
    quality: int = 0

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the quality bits that are set."""
        return flag_names(self.quality)


def predict_spectrum(
    predictor: Predictor,
    wave: np.ndarray,
    flux: np.ndarray,
    error: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    rv: float | None = None,
) -> tuple[LabelEstimate, ...]:
    """Predict the labels of one spectrum.

    Arrays may be masked, or have a unit; see `Observed`.

    Parameters
    ----------
    predictor : Predictor
    wave : float array, shape (n_wave,)
        Vacuum [Å]; must be the model's own grid.
    flux, error : float arrays, shape (n_wave,)
        Any linear flux unit.
    mask : integer array, shape (n_wave,), optional
        Flags of any width, 0 = good.
    rv : float, optional
        Radial velocity [km/s] that the spectrum is shifted by, to rest, with a cubic spline
        between pixels; 0 says that the star is at rest.

    Returns
    -------
    estimates : tuple of LabelEstimate

    Raises
    ------
    DataError
        If the grid differs, the spectrum cannot be used, or too few of its pixels can.

    Examples
    --------
    >>> model = starsmith.load_checkpoint("ridge")
    >>> star = data.split("test").observe(slice(0, 1))
    >>> (logg,) = starsmith.predict_spectrum(model, data.wave, star.flux[0], star.error[0])
    >>> logg.unit
    'dex(cm s-2)'
    """
    return predict_observed(predictor, Observed(wave, flux, error, mask), rv)


def predict_observed(
    predictor: Predictor, seen: Observed, rv: float | None = None
) -> tuple[LabelEstimate, ...]:
    """Predict the labels of one spectrum that is an `Observed`; see `predict_spectrum`."""
    seen = in_order_of(predictor.wave, seen if seen.flux.ndim == 1 else seen[0])
    check_wave(predictor.wave, seen.wave, "spectrum")
    check_usable(predictor, seen)
    rv = plain_value("rv", rv)
    seen = shift_to_rest(seen, rv or 0.0)
    at_rest = rv is not None or predictor.meter.measure(seen).at_rest
    return estimates_of(predictor, seen, at_rest, bool(rv))


def check_usable(predictor: Predictor, seen: Observed) -> None:
    """Refuse a spectrum that no label can be read off; DataError saying why."""
    predictor._refuse_few(seen.usable[None])
    if not (level := np.median(seen.flux[seen.usable])) > 0:
        raise DataError(
            f"spectrum: its median flux, {level:.3g}, is not positive; noise or the sky "
            f"subtraction has drowned the star, and no label can be read off it"
        )


def estimates_of(
    predictor: Predictor, seen: Observed, at_rest: bool, interpolated: bool, doubts: int = 0
) -> tuple[LabelEstimate, ...]:
    """Labels of one spectrum on the model's pixels.

    Parameters
    ----------
    predictor : Predictor
    seen : Observed
        Shape (n_wave,).
    at_rest : bool
        Whether the star is known to be at rest.
    interpolated : bool
        Whether neighbouring pixels share their noise.
    doubts : int
        Quality bits that are known already.

    Raises
    ------
    DataError
        If too few pixels are left.
    """
    seen = seen[None]
    usable = seen.usable
    predictor._refuse_few(usable)
    value, uncertainty = predictor._answer(seen, usable)
    rest = np.array([at_rest])
    quality = quality_of(predictor.card, predictor.statistics, seen, value, rest, interpolated)
    widths = [None] * len(predictor.labels) if uncertainty is None else uncertainty[0].tolist()
    columns = zip(predictor.labels, value[0].tolist(), widths, predictor.units, strict=True)
    return tuple(LabelEstimate(*column, int(quality[0]) | doubts) for column in columns)


def predict(predictor: Predictor, split: Split) -> Predictions:
    """Predict the labels of every spectrum of a split, under its draw of record.

    Parameters
    ----------
    predictor : Predictor
    split : Split

    Raises
    ------
    DataError
        If the split has another wavelength grid or lacks a label.

    Examples
    --------
    >>> model = starsmith.load_checkpoint("ridge")
    >>> starsmith.predict(model, data.split("test")).value.shape
    (60, 1)
    """
    check_wave(predictor.wave, split.wave, f"split {split.name!r}")
    values, widths, quality = [], [], []
    at_rest = getattr(split.draws, "rv", np.zeros(len(split))) == 0.0
    for rows in iterate_blocks(len(split)):
        seen = split.observe(rows)
        usable = seen.usable
        value, width = predictor._answer(seen, usable)
        quality.append(quality_of(predictor.card, predictor.statistics, seen, value, at_rest[rows]))
        values.append(value)
        widths.append(width)
    uncertainty = None if widths[0] is None else np.concatenate(widths)
    return table_of(
        predictor.card, split, np.concatenate(values), uncertainty, np.concatenate(quality)
    )
