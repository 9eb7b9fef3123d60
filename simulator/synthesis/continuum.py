"""Continuous absorption and scattering of hydrogen, metals and electrons [1/cm].

Scattering is part of the opacity; `scattering.scattered_excess` tells what it does to the source.
"""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.atomic_constants import (
    BOLTZMANN,
    BOLTZMANN_EV,
    HC_OVER_K,
    LIGHT_SPEED,
    RYDBERG_EV,
    THOMSON,
)
from starsmith.simulator.synthesis.bound_free import metal_bound_free
from starsmith.simulator.synthesis.equation_of_state import Gas

__all__ = [
    "continuum_opacity",
    "h_minus_bound_free",
    "h_minus_free_free",
    "rosseland_mean",
    "scattering_opacity",
]

H_MINUS_THRESHOLD = 1.6419  # [µm]
N_HYDROGEN_LEVEL = 12  # bound-free edges

# John (1988, A&A 193, 189) table 2: bound-free coefficients C1..C6 [µm]
BOUND_FREE = (152.519, 49.534, -118.858, 92.536, -34.194, 4.982)
# Tables 3a (0.1823-0.3645 µm) and 3b (> 0.3645 µm): rows n = 1..6, columns A..F
FREE_FREE_SHORT = np.array(
    [
        [518.1021, -734.8666, 1021.1775, -479.0721, 93.1373, -6.4285],
        [473.2636, 1443.4137, -1977.3395, 922.3575, -178.9275, 12.3600],
        [-482.2089, -737.1616, 1096.8827, -521.1341, 101.7963, -7.0571],
        [115.5291, 169.6374, -245.6490, 114.2430, -21.9972, 1.5097],
    ]
)
FREE_FREE_LONG = np.array(
    [
        [2483.3460, 285.8270, -2054.2910, 2827.7760, -1341.5370, 208.9520],
        [-3449.8890, -1158.3820, 8746.5230, -11485.6320, 5303.6090, -812.9390],
        [2200.0400, 2427.7190, -13651.1050, 16755.5240, -7510.4940, 1132.7380],
        [-696.2710, -1841.4000, 8624.9700, -10051.5300, 4400.0670, -655.0200],
        [88.2830, 444.5170, -1863.8640, 2095.2880, -901.7880, 132.9850],
    ]
)


def h_minus_bound_free(wave: np.ndarray) -> np.ndarray:
    """Photodetachment cross-section of H- [cm²] at wavelengths [Å] (John 1988, eq. 4)."""
    micron = np.asarray(wave, dtype=np.float64) * 1e-4  # John gives λ in µm
    # 0 beyond the threshold: no photon detaches
    x = np.maximum(1.0 / micron - 1.0 / H_MINUS_THRESHOLD, 0.0)
    f = sum(c * fixed.power(x, n / 2.0) for n, c in enumerate(BOUND_FREE))
    # the fit begins at 0.125 µm [cm²]
    return np.where(micron > 0.125, 1e-18 * fixed.power(micron, 3) * fixed.power(x, 1.5) * f, 0.0)


def h_minus_free_free(wave: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Free-free absorption of H- per atom and electron pressure [cm⁴/dyn] (John 1988, eq. 6).

    ``wave`` (n_wave,) [Å] and ``temperature`` (n_point,) [K] give (n_wave, n_point); stimulated
    emission is included. 1400-10080 K; temperatures outside are clipped.
    """
    micron = np.maximum(np.asarray(wave, dtype=np.float64) * 1e-4, 0.1823)  # the tables begin there
    theta = 5040.0 / np.clip(temperature, 1400.0, 10080.0)  # range of the fit: θ = 0.5 to 3.6
    powers = np.array(
        [micron**2, np.ones_like(micron), *(fixed.power(micron, -i) for i in range(1, 5))]
    )
    short, long = (
        fixed.matmul(FREE_FREE_SHORT, powers),
        fixed.matmul(FREE_FREE_LONG, powers),
    )  # (n, n_wave)
    # θ^((n + 1)/2), n = 1 to 4
    series_short = np.array([fixed.power(theta, 1.0 + 0.5 * n) for n in range(4)])
    series_long = np.array([fixed.power(theta, 1.5 + 0.5 * n) for n in range(5)])  # n = 2 to 6
    value = np.where(
        (micron < 0.3645)[:, None],
        fixed.matmul(short.T, series_short),
        fixed.matmul(long.T, series_long),
    )
    return 1e-29 * value  # [cm⁴/dyn]: times electron pressure and n(H I)


def hydrogen_bound_free(wave: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Photoionisation per neutral H atom [cm²], (n_wave, n_point), before stimulated emission.

    Kramers' cross-section with the Gaunt factor of Menzel & Pekeris (1935); Gray (2005) eq. 8.8.
    """
    cross_section = np.zeros((wave.size, temperature.size))
    inverse = wave * RYDBERG_EV / 12398.42  # λR, dimensionless
    for n in range(1, N_HYDROGEN_LEVEL + 1):
        # Menzel & Pekeris (1935), bound-free
        gaunt = 1.0 - 0.3456 / fixed.cbrt(inverse) * (inverse / n**2 - 0.5)
        edge = inverse <= n**2
        # Kramers, hydrogenic [cm²]
        sigma = np.where(edge, 7.907e-18 * n * fixed.power(inverse / n**2, 3) * gaunt, 0.0)
        cross_section += sigma[:, None] * hydrogen_level(n, temperature)
    return cross_section


def hydrogen_level(n: int | np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Fraction of neutral hydrogen in level ``n``: n² exp(-χ/kT); arguments broadcast."""
    energy = RYDBERG_EV * (1.0 - 1.0 / n**2)  # above the ground state [eV]
    return n**2 * fixed.exp(-energy / (BOLTZMANN_EV * temperature))


def hydrogen_free_free(wave: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Free-free per electron and proton [cm⁵], (n_wave, n_point), before stimulated emission."""
    frequency = (LIGHT_SPEED * 1e8 / wave)[:, None]
    inverse = (wave * RYDBERG_EV / 12398.42)[:, None]
    kinetic = BOLTZMANN_EV * temperature * wave[:, None] / 12398.42  # kT/hν
    gaunt = 1.0 + 0.3456 / fixed.cbrt(inverse) * (kinetic + 0.5)
    # Kramers; times n_e n_p it is [1/cm]
    return 3.692e8 * gaunt / (np.sqrt(temperature) * fixed.power(frequency, 3))


def continuum_opacity(wave: np.ndarray, gas: Gas) -> np.ndarray:
    """Continuous opacity [1/cm], shape (n_wave, n_point).

    H- (John 1988), H (Kramers), neutral metals (Kurucz 1970, 1993), Rayleigh scattering by H and H2
    (Dalgarno & Williams 1962) and Thomson scattering; ``wave`` (n_wave,) in vacuum [Å].
    """
    wave = np.asarray(wave, dtype=np.float64)
    t = gas.temperature
    stimulated = -fixed.expm1(-HC_OVER_K * 1e8 / (wave[:, None] * t))
    electron_pressure = gas.n_electron * BOLTZMANN * t  # [dyn/cm²]
    opacity = h_minus_bound_free(wave)[:, None] * gas.n_h_minus * stimulated
    opacity += h_minus_free_free(wave, t) * gas.n_hydrogen * electron_pressure
    opacity += hydrogen_bound_free(wave, t) * gas.n_hydrogen * stimulated
    opacity += metal_bound_free(wave, gas) * stimulated
    opacity += hydrogen_free_free(wave, t) * gas.n_electron * gas.n_proton * stimulated
    for part in _scattering(wave, gas):
        opacity = opacity + part
    return opacity


def scattering_opacity(wave: np.ndarray, gas: Gas) -> np.ndarray:
    """The part of `continuum_opacity` that scatters [1/cm], shape (n_wave, n_point)."""
    atoms, pairs, electrons = _scattering(np.asarray(wave, dtype=np.float64), gas)
    return atoms + pairs + electrons


def _scattering(wave: np.ndarray, gas: Gas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rayleigh scattering by H and H2, and Thomson's [1/cm]."""
    # held at 1.2 x Lyman α: the series diverge there
    inverse2 = fixed.power(np.maximum(wave, 1215.67 * 1.2)[:, None], -2.0)
    # Rayleigh, H I: Dalgarno, λ in Å [cm²]
    atoms = inverse2**2 * (5.799e-13 + inverse2 * (1.422e-6 + inverse2 * 2.784))
    # Rayleigh, H2: Dalgarno & Williams (1962) [cm²]
    pairs = inverse2**2 * (8.14e-13 + inverse2 * (1.28e-6 + inverse2 * 1.61))
    return atoms * gas.n_hydrogen, pairs * gas.n_h2, THOMSON * gas.n_electron


def rosseland_mean(wave: np.ndarray, opacity: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Harmonic mean of ``opacity`` (n_wave, n_point) weighted by dB/dT, shape (n_point,).

    Trapezoid in ln λ over ``wave`` (n_wave,) [Å]; same unit as ``opacity``.
    """
    # capped: e^-x would underflow
    x = np.minimum(HC_OVER_K * 1e8 / (wave[:, None] * temperature), 200.0)
    weight = fixed.power(x, 5) * fixed.exp(-x) / fixed.expm1(-x) ** 2  # dB_λ/dT · λ
    log_wave = fixed.log(wave)
    return np.trapezoid(weight, log_wave, axis=0) / np.trapezoid(weight / opacity, log_wave, axis=0)
