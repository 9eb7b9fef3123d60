"""What a simulated spectrum is drawn from, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

import numpy as np

from starsmith.data_contract.arms import ArmSpan, arm_named
from starsmith.data_contract.described import described, span
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import CONDITIONS, LABELS, STAR
from starsmith.data_contract.random import DrawKey
from starsmith.data_contract.unit_conversion import plain_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ARRAYS", "Draws", "SpectrumBatch"]

ALONE = tuple(name for name in STAR if name not in LABELS)  # arrays of their own
ARRAYS = ("labels", "conditions", *ALONE)


@described
@dataclass(frozen=True, kw_only=True)
class Draws:
    """Labels, magnitude and observing conditions of keyed spectra.

    Attributes
    ----------
    seed : int
    split : str
        train, val or test.
    index : int64, shape (n_spec,)
        Spectrum index within the split; (seed, split, index) is the draw key.
    label_names : tuple of str
        Columns of ``labels``.
    labels : float64, shape (n_spec, n_label)
        [K, dex, dex, ...].
    mag : float64, shape (n_spec,)
        AB magnitude in the bank's band.
    conditions : float64, shape (n_spec, 8)
        Columns in `CONDITIONS` order.
    rv : float64, shape (n_spec,)
        Radial velocity, receding positive [km/s]; zero unless given.
    ebv : float64, shape (n_spec,)
        Reddening E(B-V) of the dust before each star [mag]; zero unless given.
    """

    seed: int
    split: str
    index: np.ndarray
    label_names: tuple[str, ...]
    labels: np.ndarray
    mag: np.ndarray
    conditions: np.ndarray
    rv: np.ndarray | None = None
    ebv: np.ndarray | None = None

    def __post_init__(self):
        for name in ALONE:
            given = getattr(self, name)
            if given is None:
                object.__setattr__(self, name, np.zeros(len(self.index)))
            elif hasattr(given, "unit"):
                object.__setattr__(self, name, plain_value(name, given))

    def _facts(self) -> dict[str, object]:
        return {
            "stars": len(self),
            "key": f"seed {self.seed}, split {self.split}",
            "labels": " ".join(self.label_names),
        }

    def __len__(self) -> int:
        return len(self.index)

    @property
    def key(self) -> DrawKey:
        """What every random number of these spectra is keyed by."""
        return DrawKey(self.seed, self.split, self.index)

    def label(self, name: str) -> np.ndarray:
        """One label, float64 (n_spec,)."""
        return self.labels[:, self.label_names.index(name)]

    def condition(self, name: str) -> np.ndarray:
        """One observing condition, float64 (n_spec,)."""
        return self.conditions[:, CONDITIONS.index(name)]

    @classmethod
    def of_columns(
        cls, seed: int, split: str, label_names: tuple[str, ...], columns: Mapping[str, np.ndarray]
    ) -> "Draws":
        """Draws from columns by name, each (n_spec,): the inverse of `columns`."""
        return cls(
            seed=seed,
            split=split,
            index=columns["index"],
            label_names=tuple(label_names),
            labels=np.stack([columns[name] for name in label_names], axis=1)
            if label_names
            else np.empty((len(columns["index"]), 0)),
            conditions=np.stack([columns[name] for name in CONDITIONS], axis=1),
            **{name: columns[name] for name in ALONE if name in columns},
        )

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Everything a spectrum is drawn from, by name, each (n_spec,)."""
        labels = {name: self.label(name) for name in self.label_names}
        star = {name: getattr(self, name) for name in ALONE}
        return labels | star | {name: self.condition(name) for name in CONDITIONS}

    def take(self, rows: np.ndarray | slice) -> "Draws":
        """Return the draws of some rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ("index", *ARRAYS)})

    def with_stars(self, rows: np.ndarray, other: "Draws") -> "Draws":
        """Return draws whose stars in ``rows`` are those of ``other``, under their own sky."""
        changed = {name: getattr(self, name).copy() for name in ("labels", *ALONE)}
        for name, values in changed.items():
            values[rows] = getattr(other, name)
        return replace(self, **changed)


@described
@dataclass(frozen=True, kw_only=True)
class SpectrumBatch(Observed):
    """Simulated spectra: what is observed, and what it was made from.

    Attributes
    ----------
    flux_model : float32, shape (n_spec, n_wave)
        Noiseless flux [1e-17 erg/s/cm²/Å].
    snr : float64, shape (n_spec,)
        Median over pixels of flux_model over the true σ [per pixel].
    snr_p95 : float64, shape (n_spec,)
        Its 95th percentile: the statistic that published logs bin by.
    draws : Draws
    arms : tuple of ArmSpan
        Which pixels each arm of the spectrograph recorded.
    """

    flux_model: np.ndarray
    snr: np.ndarray
    snr_p95: np.ndarray
    draws: Draws
    arms: tuple[ArmSpan, ...] = ()

    def _facts(self) -> dict[str, object]:
        return {
            "spectra": len(self),
            "pixels": f"{self.wave.size}, {span(self.wave)} Å",
            "median S/N": f"{np.median(self.snr):.3g}" if len(self) else "",
            "key": f"seed {self.draws.seed}, split {self.draws.split}",
        }

    def plot(self, row: int = 0, notice: str = "") -> "Figure":
        """Draw one spectrum over its noiseless flux, with the star in the title.

        Parameters
        ----------
        row : int
        notice : str
            Of the grid: ``bank.notice``.

        Returns
        -------
        figure : matplotlib.figure.Figure
            ``figure.savefig("star.pdf")`` writes it; notebooks show it.
        """
        place = import_module("starsmith.data_contract.spectrum_figure")
        return cast("Figure", place.spectrum_figure(self, row, notice))

    def arm(self, name: str) -> "SpectrumBatch":
        """One arm's pixels, by its name or first letter; views, nothing is copied.

        ``snr`` and ``snr_p95`` stay those of all arms together; DataError if no arm is called so.
        """
        arm = arm_named(self.arms, name)
        per_spectrum = ("flux_model", "flux", "error", "mask")
        cut = {name: getattr(self, name)[:, arm.pixels] for name in per_spectrum}
        own = ArmSpan(arm.name, 0, len(arm))
        return replace(self, wave=self.wave[arm.pixels], **cut, arms=(own,))
