"""Estimates of a dropped spectrum: every model's, the exact posterior's, and the nearest node."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.surveys.any_file import read_any
from starsmith.fisher.information.jacobian import node_flux
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.learners.prediction.matching import SpectrumMatcher
from starsmith.learners.prediction.own_pixels import same_wave
from starsmith.simulator.prior import Prior

if TYPE_CHECKING:
    from starsmith.learners.prediction.predict import Predictor

__all__ = ["Estimator"]

MOST_SPECTRA = 20  # of one file: a page is read by a person
N_TEMPLATE = 10_000


@dataclass(frozen=True)
class Estimator:
    """Reads spectra and answers with a row per model and label.

    Attributes
    ----------
    bank : Bank
    prior : Prior
        Of the exact posterior.
    models : tuple of (str, Predictor)
        Names and checkpoints.
    """

    bank: Bank
    prior: Prior
    models: Sequence[tuple[str, "Predictor"]]

    @cached_property
    def _matchers(self) -> list[tuple[str, SpectrumMatcher]]:
        return [(name, SpectrumMatcher(model)) for name, model in self.models]

    @cached_property
    def _nodes(self) -> np.ndarray:
        return node_flux(self.bank).reshape(-1, self.bank.wave.size)

    def rows(self, path: Path) -> list[dict[str, str]]:
        """Estimates of the first 20 spectra of a file of any survey.

        Returns
        -------
        rows : list of dict
            ``spectrum``, ``by``, ``label``, ``value``, ``sigma`` and ``remarks``, as texts.

        Raises
        ------
        DataError
            If the file cannot be read, or none of its spectra can be used.
        """
        found: list[dict[str, str]] = []
        problems = []
        for number, spectrum in enumerate(islice(read_any(path, False), MOST_SPECTRA)):
            name = spectrum.source_id or f"spectrum {number}"
            for by, matcher in self._matchers:
                try:
                    estimates, matched = matcher.predict(spectrum)
                except DataError as problem:
                    problems.append(str(problem))
                    continue
                remarks = "; ".join(matched.done)
                for one in estimates:
                    flags = " ".join(one.flags)
                    words = [name, by, one.label, *_numbers(one.label, one.value, one.uncertainty)]
                    found.append(_row(*words, flags or remarks))
            if found and same_wave(self.bank.wave, matched.seen.wave):
                found += self._exact(name, matched.seen)
        if not found:
            raise DataError(f"{path.name}: {problems[0] if problems else 'no spectrum in it'}")
        return found

    def _exact(self, name: str, seen: Observed) -> list[dict[str, str]]:
        """Posterior mean over the bank's templates, and the node that fits best with its χ²."""
        if seen.error is None:
            return []
        error = np.where(seen.usable, seen.error, np.inf)[None]
        flux = np.where(seen.usable, seen.flux, 0.0)[None]
        options = PosteriorOptions(n_template=N_TEMPLATE)
        exact = posterior_mean(self.bank, self.prior, flux, error, options=options)
        rows = [
            _row(name, "exact posterior", label, *_numbers(label, mean, var**0.5), "")
            for label, mean, var in zip(exact.label_names, exact.mean[0], exact.var[0], strict=True)
        ]
        return [*rows, self._nearest(name, flux[0], error[0] ** -2)]

    def _nearest(self, name: str, flux: np.ndarray, weight: np.ndarray) -> dict[str, str]:
        """Node whose spectrum, times the best factor, leaves the least χ²."""
        cross = self._nodes @ (weight * flux)
        square = np.square(self._nodes) @ weight
        gain = np.where(self.bank.filled, 0.0, np.maximum(cross, 0.0) ** 2 / square)
        best = int(np.argmax(gain))
        chi2 = float(weight @ flux**2 - gain[best])
        shape = [nodes.size for nodes in self.bank.axes]
        place = zip(self.bank.axes, np.unravel_index(best, shape), strict=True)
        labels = zip(self.bank.label_names, (nodes[k] for nodes, k in place), strict=True)
        words = ", ".join(f"{label} {value:g}" for label, value in labels)
        n_pixel = int(np.count_nonzero(weight))
        return _row(name, "nearest node", words, "", "", f"chi2 {chi2:.0f} of {n_pixel} pixels")


def _row(spectrum: str, by: str, label: str, value: str, sigma: str, remarks: str) -> dict:
    names = ("spectrum", "by", "label", "value", "sigma", "remarks")
    return dict(zip(names, (spectrum, by, label, value, sigma, remarks), strict=True))


def _numbers(label: str, value: float, sigma: float | None) -> tuple[str, str]:
    digits = ".0f" if UNITS[label] == "K" else ".2f"
    return f"{value:{digits}}", "" if sigma is None else f"{sigma:{digits}}"
