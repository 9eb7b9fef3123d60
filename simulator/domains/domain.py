"""A domain: a survey, a physics and a population, each with a knob; stars drawn from it by key.

The dial g goes from physics A to B: ln F = (1 - g) ln F_A + g ln F_B at every node, before the line
profile. It is a homotopy between two sets of spectra: what lies between is no atmosphere.
"""

from dataclasses import asdict, dataclass

import numpy as np

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.fixed_math import matmul
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.domains.residuals import N_CALIBRATION, calibration_modes, sky_modes
from starsmith.simulator.domains.seen_grid import SeenGrid, see_grid
from starsmith.simulator.domains.survey import Survey, load_survey

__all__ = ["Domain", "Knobs", "Stars", "build_domain"]

SPLITS = {"train": 0, "val": 1, "test": 2, "source": 3, "source_val": 4}
POPULATIONS = ("uniform", "disc", "halo")


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """By how much a domain differs.

    Attributes
    ----------
    g : float
        Physics: 0 is grid A, 1 grid B.
    flux_calibration : float
        Standard deviation of each of five Legendre coefficients that flux is multiplied with,
        1 + Σ c_k P_k(wavelength).
    sky : float
        Rms over all pixels of what is left of the sky's lines, in units of the usual pixel's noise.
    lsf : float
        Factor on the width of lines.
    label_offset, label_scale : tuple of float
        Pipeline labels are offset + scale x (true - middle of the grid) + middle, by label; empty
        for true ones.
    population : str
        ``uniform`` over the grid, ``disc`` ([M/H] about -0.3) or ``halo`` (about -1.5).
    seed : int
    """

    g: float = 0.0
    flux_calibration: float = 0.0
    sky: float = 0.0
    lsf: float = 1.0
    label_offset: tuple[float, ...] = ()
    label_scale: tuple[float, ...] = ()
    population: str = "uniform"
    seed: int = 0

    def __post_init__(self):
        inside = 0.0 <= self.flux_calibration < 0.2 and 0.0 <= self.sky <= 10.0
        if not (0.0 <= self.g <= 1.0 and inside and self.lsf >= 1.0):
            raise ConfigError(
                f"domain: g = {self.g}, flux_calibration = {self.flux_calibration}, sky = "
                f"{self.sky}, lsf = {self.lsf}; expected 0..1, 0..0.2, 0..10 and a factor of 1 or "
                "more"
            )
        if self.population not in POPULATIONS:
            raise ConfigError(
                f"domain: population {self.population!r}; expected one of {', '.join(POPULATIONS)}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Stars:
    """Stars of a domain.

    Attributes
    ----------
    labels : float64 array, shape (n_spec, n_label)
        True.
    pipeline : float64 array, shape (n_spec, n_label)
        Labels as the survey's pipeline gives them.
    model : float64 array, shape (n_spec, n_wave)
        Noiseless flux, errors of calibration and sky in it; its mean without those is 1.
    sigma : float64 array, shape (n_spec, n_wave)
        1σ of the noise.
    snr : float64 array, shape (n_spec,)
    seed, split : int, str
    mixing : float64 array, shape (n_wave, n_wave), optional
        What correlates the noise of pixels.
    """

    labels: np.ndarray
    pipeline: np.ndarray
    model: np.ndarray
    sigma: np.ndarray
    snr: np.ndarray
    seed: int
    split: str
    mixing: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def observe(self, rows: np.ndarray | None = None, epoch: int = -1) -> np.ndarray:
        """Observed flux, float32 (n_rows, n_wave); epoch -1 is the draw of record."""
        rows = np.arange(len(self)) if rows is None else rows
        noise = np.empty((len(rows), self.model.shape[1]), np.float32)
        for k, star in enumerate(rows.tolist()):
            key = [self.seed, 41, SPLITS[self.split], epoch + 1, star]
            noise[k] = np.random.default_rng(key).standard_normal(noise.shape[1], np.float32)
        if self.mixing is not None:
            noise = matmul(noise, self.mixing.T).astype(np.float32)
        return (self.model[rows] + self.sigma[rows] * noise).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Domain:
    """A survey that looks at a population of stars of some physics.

    Attributes
    ----------
    survey : Survey
        Cut to what the grid covers, lines as wide as the knob says.
    knobs : Knobs
    seen : SeenGrid
        Spectra of any labels on its pixels.
    notice : str
        Of the grid.
    """

    survey: Survey
    knobs: Knobs
    seen: SeenGrid
    notice: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """In the order of every label array."""
        return self.seen.label_names

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest labels."""
        axes = self.seen.axes
        return np.array([axis[0] for axis in axes]), np.array([axis[-1] for axis in axes])

    @property
    def modes(self) -> np.ndarray:
        """Legendre polynomials of wavelength that calibration errors are made of, (5, n_wave)."""
        return calibration_modes(self.survey.wave)

    @property
    def sky_modes(self) -> np.ndarray | None:
        """What is left of the sky for each unit of two normal numbers, at S/N 1; None for no sky.

        Shape (2, n_wave), in units of a star's mean flux.
        """
        if not self.knobs.sky:
            return None
        return self.knobs.sky / np.sqrt(2.0) * sky_modes(self.survey.wave, self.survey.fwhm)

    @property
    def mixing(self) -> np.ndarray | None:
        """Matrix that correlates unit noise, (n_wave, n_wave); None where pixels stand alone."""
        fwhm = self.survey.correlation
        if not fwhm:
            return None
        away = np.subtract.outer(*[np.arange(self.survey.wave.size)] * 2) / fwhm
        correlation = np.exp(-4.0 * np.log(2.0) * np.square(away))
        return np.linalg.cholesky(correlation + 1e-3 * np.eye(len(away))) / np.sqrt(1.001)

    def log_prior(self, labels: np.ndarray) -> np.ndarray:
        """Log density of the population inside the box, but for a constant, (n_spec,)."""
        if self.knobs.population == "uniform":
            return np.zeros(len(labels))
        centre, width = {"disc": (-0.3, 0.3), "halo": (-1.5, 0.5)}[self.knobs.population]
        m_h = labels[:, self.label_names.index("m_h")]
        return -0.5 * np.square((m_h - centre) / width)

    def draw_labels(self, n: int, split: str) -> np.ndarray:
        """True labels of stars, by key."""
        low, high = self.box
        labels = np.empty((n, low.size))
        for star in range(n):
            draw = np.random.default_rng([self.knobs.seed, 40, SPLITS[split], star])
            while True:
                labels[star] = draw.uniform(low, high)
                if np.log(draw.uniform()) < self.log_prior(labels[star : star + 1])[0]:
                    break
        return labels

    def spectra(self, labels: np.ndarray, *, alone: bool = True) -> np.ndarray:
        """Noiseless flux without calibration errors, mean 1, float64 (n_spec, n_wave).

        ``alone`` as of `SeenGrid.flux`.
        """
        flux = self.seen.flux(labels, alone=alone)
        return flux / flux.mean(axis=1, keepdims=True)

    def sigma_of(self, model: np.ndarray, snr: np.ndarray) -> np.ndarray:
        """1σ of every pixel of spectra of mean 1, at some S/N."""
        share = self.survey.photon_share
        part = np.sqrt(share * np.maximum(model, 1e-3) + (1.0 - share))
        return self.survey.shape * part / snr[:, None]

    def draw(self, n: int, split: str) -> Stars:
        """Stars of a split, each a function of seed, split and number."""
        labels = self.draw_labels(n, split)
        plain = self.spectra(labels)
        low, high = np.log(self.survey.snr)
        snr, calibration = np.empty(n), np.empty((n, N_CALIBRATION))
        for star in range(n):
            draw = np.random.default_rng([self.knobs.seed, 42, SPLITS[split], star])
            snr[star] = np.exp(draw.uniform(low, high))
            calibration[star] = draw.standard_normal(N_CALIBRATION)
        model = plain * (1.0 + matmul(self.knobs.flux_calibration * calibration, self.modes))
        if (sky := self.sky_modes) is not None:
            keys = [[self.knobs.seed, 45, SPLITS[split], star] for star in range(n)]
            left = [np.random.default_rng(key).standard_normal(2) for key in keys]
            model += matmul(np.array(left), sky) / snr[:, None]
        return Stars(
            labels=labels,
            pipeline=self._pipeline(labels),
            model=model,
            sigma=self.sigma_of(plain, snr),
            snr=snr,
            seed=self.knobs.seed,
            split=split,
            mixing=self.mixing,
        )

    def _pipeline(self, labels: np.ndarray) -> np.ndarray:
        knobs, middle = self.knobs, np.mean(self.box, axis=0)
        scale = np.array(knobs.label_scale or np.ones(middle.size))
        return middle + scale * (labels - middle) + np.array(knobs.label_offset or 0.0)

    def card(self) -> dict:
        """All that decides its stars."""
        return {"survey": self.survey.card(), "knobs": asdict(self.knobs), "notice": self.notice}


def build_domain(
    survey: str, knobs: Knobs, first: GridData, second: GridData | None = None
) -> Domain:
    """Look at grid A, or at what lies between it and grid B, through a survey.

    Parameters
    ----------
    survey : str
        Packaged, or a TOML file.
    knobs : Knobs
    first, second : GridData
        On the same nodes and wavelengths; B is needed where g is above 0.

    Raises
    ------
    GridError
        If the grids differ in nodes or wavelengths, or do not cover the survey.
    """
    found = load_survey(survey).cut(first.wave)
    widened = Survey(
        found.name, found.wave, found.fwhm * knobs.lsf, found.shape, found.snr, found.photon_share,
        found.correlation, found.sources,
    )  # fmt: skip
    log_flux = None
    if knobs.g > 0.0:
        if second is None:
            raise GridError(f"domain: g = {knobs.g} needs a second grid; give --grid-b")
        _require_alike(first, second)
        size = first.wave.size
        both = (grid.flux.reshape(-1, size) for grid in (second, first))
        ratio = np.divide(*both, dtype=np.float64)
        log_flux = knobs.g * np.log(ratio)
    seen = see_grid(first, widened.wave, widened.fwhm, log_flux)
    return Domain(widened, knobs, seen, first.notice)


def _require_alike(first: GridData, second: GridData) -> None:
    same = list(first.axes) == list(second.axes) and all(
        np.array_equal(first.axes[name], second.axes[name]) for name in first.axes
    )
    if not same or not np.array_equal(first.wave, second.wave):
        raise GridError("domain: the second grid has other nodes or wavelengths than the first")
    if not (first.valid.all() and second.valid.all()):
        raise GridError("domain: the dial needs grids without holes; cut them to a full box")
