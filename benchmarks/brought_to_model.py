"""What `speclearn predict` makes of stars on other pixels, moving, and of other line widths.

Test stars of a data set are observed again, each with noise of its own: on other pixels, at +80
km/s that nobody states, sharper or broader than the model's. Labels against the truth, flags, and
the velocity against its error. Then velocities of validation stars, which are at rest, by S/N.

    python -m benchmarks.brought_to_model DATA MODEL [-n 60]
"""

import argparse
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from benchmarks.timing import machine
from starsmith.data_contract.constants import FWHM_TO_SIGMA, LIGHT_SPEED_KM_S, MAD_TO_SIGMA
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.training import line_fwhm
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity
from starsmith.learners.prediction.matching import SpectrumMatcher
from starsmith.learners.prediction.predict import load_checkpoint

FINE = 0.05  # Å
N_REST = 160  # validation stars whose velocity is measured
SNR_EDGES = (0.0, 3.0, 5.0, 10.0, np.inf)
MARGIN = 20.0  # Å left out at the ends
CASES = {
    "as simulated": (None, 0.0, None),
    "other pixels of 0.427 Å": (0.427, 0.0, None),
    "+80 km/s, 0.31 Å": (0.31, 80.0, None),
    "+80 km/s, 0.55 Å": (0.55, 80.0, None),
    "+80 km/s, 0.31 Å, lines of 3 Å": (0.31, 80.0, 3.0),
}
"""Pixels [Å], velocity [km/s] and FWHM of lines [Å]; None for the data set's own."""


class Stars:
    """Test stars of a data set, to be observed again."""

    def __init__(self, split: Split, n: int):
        self.wave, self.fwhm = split.wave, line_fwhm(split.header)
        rows = slice(0, n)
        self.flux = split.flux_model(rows).astype(np.float64)
        self.seen = split.observe(rows)
        self.rng = np.random.default_rng(1)

    def again(self, k: int, step: float | None, rv: float, fwhm: float | None) -> SurveySpectrum:
        """Star ``k`` on pixels of ``step`` Å."""
        native = np.median(np.diff(self.wave))
        error = self.seen.error[k].astype(np.float64)
        if step is None:
            velocity = Velocity(frame="rest")
            arm = SpectrumArm(
                wave=self.wave, flux=self.seen.flux[k], error=self.seen.error[k], fwhm=self.fwhm
            )
            return SurveySpectrum(survey="again", arms=(arm,), ids={}, velocity=velocity)
        stretch = np.sqrt((1 + rv / LIGHT_SPEED_KM_S) / (1 - rv / LIGHT_SPEED_KM_S))
        wave = np.arange(self.wave[0] + MARGIN, self.wave[-1] - MARGIN, step)
        fine = np.arange(self.wave[0], self.wave[-1], FINE)
        flux, own = CubicSpline(self.wave, self.flux[k])(fine), self.fwhm
        if fwhm:
            lacking = np.sqrt(fwhm**2 - np.median(own) ** 2) * FWHM_TO_SIGMA
            flux, own = gaussian_filter1d(flux, lacking / FINE), np.full(own.shape, fwhm)
        sigma = np.interp(wave / stretch, self.wave, error) * np.sqrt(native / step)
        noise = self.rng.normal(0.0, sigma)
        arm = SpectrumArm(
            wave=wave,
            flux=np.interp(wave / stretch, fine, flux) / stretch + noise,
            error=sigma,
            fwhm=np.interp(wave, self.wave, own),
        )
        return SurveySpectrum(survey="again", arms=(arm,), ids={})


def row_of(matcher: SpectrumMatcher, stars: Stars, truth: np.ndarray, name: str) -> str:
    """One line of the table."""
    step, rv, fwhm = CASES[name]
    values, velocity, flagged = [], [], 0
    for k in range(len(truth)):
        estimates, matched = matcher.predict(stars.again(k, step, rv, fwhm))
        values.append([estimate.value for estimate in estimates])
        told = [note for note in matched.done if note.endswith("measured")]
        flagged += "broad_lines" in estimates[0].flags
        if told:
            words = told[0].split()
            velocity.append((float(words[1]) - rv, max(float(words[3]), 0.05)))
    rms = np.sqrt(np.mean((np.array(values) - truth) ** 2, axis=0))
    cells, measured = [f"{value:.3g}" for value in rms], ""
    if velocity:
        away, error = np.abs(velocity).T
        measured = f"{np.median(away):.2f} km/s, {MAD_TO_SIGMA * np.median(away / error):.1f}"
    last = [measured, f"{flagged} of {len(truth)}"]
    return f"| {name} | {' | '.join([*cells, *last])} |"


def at_rest(matcher: SpectrumMatcher, split: Split) -> str:
    """Scatter and stated errors of significant velocities of stars at rest, by S/N."""
    meter = matcher.predictor.meter
    seen = split.observe(slice(0, min(N_REST, len(split))))
    snr = np.median(seen.flux / seen.error, axis=1)
    found = [meter.measure(seen[k]) for k in range(len(seen))]
    rv, error = np.array([(one.rv, one.error) for one in found]).T
    significant = np.array([one.significant for one in found])
    lines = ["| S/N | stars | significant | scatter [km/s] | stated [km/s] | pull | farthest |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for low, high in pairwise(SNR_EDGES):
        inside = (snr >= low) & (snr < high)
        if (k := inside & significant).any():
            cells = [rv[k].std(), np.median(error[k]), (rv / error)[k].std(), np.abs(rv[k]).max()]
            numbers = " | ".join(f"{cell:.2g}" for cell in cells)
            lines.append(f"| {low:g}-{high:g} | {inside.sum()} | {k.sum()} | {numbers} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables in markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("model")
    parser.add_argument("-n", type=int, default=60)
    args = parser.parse_args()
    split = open_dataset(args.data).split("test")
    matcher = SpectrumMatcher(load_checkpoint(args.model))
    stars = Stars(split, min(args.n, len(split)))
    labels = matcher.predictor.labels
    truth = np.stack([split.label(name) for name in labels], axis=1)[: len(stars.flux)]
    print(f"{len(truth)} stars, {matcher.predictor.card['model']}. {machine()}\n")
    heads = [*(f"rms {name}" for name in labels), "velocity: median error, pull", "`broad_lines`"]
    print(f"| spectrum | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}")
    for name in CASES:
        print(row_of(matcher, stars, truth, name))
    print("\n" + at_rest(matcher, open_dataset(args.data).split("val")))


if __name__ == "__main__":
    main()
