"""A bank made small enough for a page: modes of its spectra, and its noise tables, as bytes."""

import base64
from dataclasses import dataclass, field, replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.bank.splines import spline_degree, spline_knots
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.noise_tables import PER_ARM, NoiseTables
from starsmith.data_contract.quantities import DUST
from starsmith.data_contract.snr_units import resolution_pixels
from starsmith.fisher.information.crlb import crlb_from_gram, whitened_gram
from starsmith.fisher.information.jacobian import label_columns
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["PageBank", "page_bank"]

STEP_MODES = 32
MOST_MODES = 320
N_STRONG = 24  # amplitudes whose 16 bits would show in the bounds
N_STAR = 64  # stars that the error is measured on
LARGEST = 32767  # of a 16-bit integer
SKY_RANK, APERTURE_RANK = 4, 5  # smooth tables: what is left out is below 1e-6 of them


@dataclass
class PageBank:
    """Arrays of a page, one after the other in ``data``.

    Attributes
    ----------
    arrays : dict of str to (type, shape, offset)
        Names of JavaScript's typed arrays; offsets in bytes.
    data : bytearray
    errors : dict of str to float
        Largest errors over drawn stars that the modes make: ``flux`` (99.9th percentile of
        pixels) and ``sigma`` (bounds), relative.
    n_mode : int
    """

    arrays: dict[str, tuple[str, list[int], int]] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)
    errors: dict[str, float] = field(default_factory=dict)
    n_mode: int = 0

    def add(self, name: str, values: np.ndarray, kind: str = "Float32Array") -> None:
        """Append an array; every one begins at a multiple of 8 bytes."""
        self.arrays[name] = (kind, list(np.shape(values)), len(self.data))
        self.data += np.ascontiguousarray(values, dtype=_TYPES[kind]).tobytes()
        self.data += bytes(-len(self.data) % 8)

    def base64(self) -> str:
        """All arrays as text."""
        return base64.b64encode(bytes(self.data)).decode("ascii")


_TYPES = {"Float64Array": "<f8", "Float32Array": "<f4", "Int16Array": "<i2", "Uint8Array": "u1"}


def page_bank(bank: Bank, accuracy: float = 1e-3) -> PageBank:
    """Principal modes of a bank's spectra, as few as hold bounds and fluxes to an accuracy.

    Parameters
    ----------
    bank : Bank
        With reddening tables.
    accuracy : float
        Of every label's bound, and of the flux in 99.9 % of the pixels, on 64 stars of the grid.

    Returns
    -------
    page : PageBank

    Raises
    ------
    ConfigError
        If 320 modes do not reach the accuracy.
    """
    coef = np.asarray(bank.pixel_coef, dtype=np.float64)
    level = np.abs(coef).mean(axis=1, keepdims=True)
    colour = np.median(coef / level, axis=0)
    colour[colour <= 0.0] = colour[colour > 0.0].min()
    left, strength, right = _svd(coef / level / colour)
    stars = _stars(bank)
    for most in range(STEP_MODES, MOST_MODES + 1, STEP_MODES):
        n_mode = min(most, strength.size)
        amplitude = (left[:, :n_mode] * strength[:n_mode]).astype(np.float32)
        weak, weak_step = _quantised(amplitude[:, N_STRONG:].T)
        modes, step = _quantised(right[:n_mode] * colour)
        amplitude[:, N_STRONG:] = (weak * weak_step[:, None]).T
        errors = _errors(bank, stars, level * amplitude, modes * step[:, None])
        if max(errors.values()) <= accuracy or n_mode == strength.size:
            break
    else:
        raise ConfigError(
            f"{MOST_MODES} modes hold the bounds of this bank to {max(errors.values()):.1e} only, "
            f"{accuracy:g} is asked for; take a grid of fewer labels"
        )
    page = PageBank(errors=errors, n_mode=n_mode)
    page.add("level", level[:, 0], "Float64Array")
    page.add("strong", amplitude[:, :N_STRONG])
    page.add("weak", weak, "Int16Array")
    page.add("weak_step", weak_step, "Float64Array")
    page.add("modes", modes, "Int16Array")
    page.add("mode_step", step, "Float64Array")
    width = resolution_pixels(bank.instrument, bank.wave, bank.noise.arms)
    page.add("element", np.full(bank.wave.size, np.nan) if width is None else width)
    _add_bank(page, bank)
    _add_noise(page, bank.noise)
    return page


def _svd(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decomposition through the smaller Gram matrix, good to 1e-8 of the largest."""
    if values.shape[0] > values.shape[1]:
        right, strength, left = _svd(values.T)
        return left.T, strength, right.T
    squares, vectors = np.linalg.eigh(values @ values.T)
    kept = np.flatnonzero(squares > 1e-16 * squares[-1])[::-1]
    strength, left = np.sqrt(squares[kept]), vectors[:, kept]
    return left, strength, (left.T @ values) / strength[:, None]


def _quantised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows as 16-bit integers, and the step of each."""
    step = np.abs(rows).max(axis=1) / LARGEST
    return np.rint(rows / step[:, None]).astype(np.int16), step


def _stars(bank: Bank) -> np.ndarray:
    """Labels all over the grid, off its holes, float64 (n_spec, n_label)."""
    low = np.array([nodes[0] for nodes in bank.axes])
    high = np.array([nodes[-1] for nodes in bank.axes])
    draws = np.random.default_rng(0).uniform(low, high, (4 * N_STAR, low.size))
    return draws[~touches_filled(bank, draws)][:N_STAR]


def _errors(
    bank: Bank, labels: np.ndarray, amplitude: np.ndarray, modes: np.ndarray
) -> dict[str, float]:
    """What modes and rounding change in spectra and in the bounds of every label, relative."""
    small = replace(
        bank,
        coef=amplitude.astype(np.float32),
        basis=modes.astype(np.float32),
        velocity=None,
    )
    names = tuple(n for n, nodes in zip(bank.label_names, bank.axes, strict=True) if len(nodes) > 1)
    exact, rough = (label_columns(b, labels, np.zeros(len(labels)), names) for b in (bank, small))
    flux = np.abs(rough.flux / exact.flux - 1.0)
    # white noise relative to the flux: every line counts
    bounds = [
        np.sqrt([crlb_from_gram(gram, k).sigma2 for k in range(len(names))])
        for gram in (whitened_gram(c.values, c.flux**2) for c in (exact, rough))
    ]
    return {
        "flux": float(np.percentile(flux, 99.9)),
        "sigma": float(np.max(np.abs(bounds[1] / bounds[0] - 1.0))),
    }


def _add_bank(page: PageBank, bank: Bank) -> None:
    page.add("wave", bank.wave, "Float64Array")
    page.add("band", bank.band_coef, "Float64Array")
    page.add("filled", bank.filled, "Uint8Array")
    for k, nodes in enumerate(bank.axes):
        page.add(f"nodes_{k}", nodes, "Float64Array")
        page.add(f"knots_{k}", spline_knots(nodes, bank.degree), "Float64Array")
        page.add(f"degree_{k}", np.array([spline_degree(nodes.size, bank.degree)]), "Uint8Array")
    if bank.reddening is not None:
        dust = bank.reddening
        page.add(DUST, getattr(dust, DUST), "Float64Array")
        page.add("dust", dust.extinction)
        page.add("dust_band", dust.band_coef)


def _low_rank(page: PageBank, name: str, table: np.ndarray, rank: int) -> None:
    """A smooth table (n_row, n_column) as a product of two thin ones."""
    left, strength, right = _svd(table)
    page.add(f"{name}_rows", left[:, :rank] * strength[:rank])
    page.add(f"{name}_columns", right[:rank])


def _add_noise(page: PageBank, noise: NoiseTables) -> None:
    for name in ("field_angle", "collecting_area", "fibre_area", "seeing", "zenith_angle"):
        page.add(name, getattr(noise, name), "Float64Array")
    page.add("knot_wave", noise.knot_wave, "Float64Array")
    page.add("extinction", noise.extinction, "Float64Array")
    page.add("conversion", noise.conversion)
    _low_rank(page, "sky", noise.sky_rate, SKY_RANK)
    _low_rank(
        page, "aperture", noise.encircled_energy.reshape(-1, noise.knot_wave.size), APERTURE_RANK
    )
    moon = noise.moon_rate if noise.moon_rate is not None else np.zeros((2, noise.wave.size))
    page.add("moon", moon)
    page.add("moon_extinction", np.array([noise.moon_extinction or 0.0]), "Float64Array")
    page.add("seeing_power", np.array([noise.seeing_airmass_power or 0.0]), "Float64Array")
    page.add(
        "arm_edge", np.array([arm.start for arm in noise.arms] + [noise.wave.size]), "Float64Array"
    )
    for name in PER_ARM:
        page.add(name, np.atleast_1d(getattr(noise, name)), "Float64Array")
