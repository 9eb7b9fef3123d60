"""Hydrogen lines: Paschen series and Hα with Stark wings.

Profiles after Edmonds, Schlüter & Wells (1967, Mem. R. Astron. Soc. 71, 271) as used by Hubeny,
Hummer & Lanz (1994, A&A 282, 151), their widths matched to the tables of Lemke (1997, A&AS 122,
285): within 13 % rms at 0.7-25 Å, 5000-7000 K and 10¹²-10¹⁵ electrons per cm³.
"""

from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.simulator.kernels.synthesis_hydrogen import WING, hydrogen_opacity
from starsmith.simulator.synthesis.atmosphere import Atmosphere
from starsmith.simulator.synthesis.atomic_constants import (
    AMU,
    BOLTZMANN,
    CLASSICAL_CROSS_SECTION,
    HC_OVER_K,
    LIGHT_SPEED,
    RYDBERG_EV,
)
from starsmith.simulator.synthesis.continuum import hydrogen_level
from starsmith.simulator.synthesis.line_list import abo_width

__all__ = ["hydrogen_line_opacity", "hydrogen_lines"]

LAST = 40  # higher lines have merged into the continuum at every pressure met here
# Kramers' f times limit - fall / m² is the exact f of H9 ... Hβ and Br9 ... Br12 to 0.5 %, by lower
# level 2, 4 and 3
GAUNT = ((0.877, 0.931, 0.917), (0.88, 2.75, 2.3))
H_ALPHA_F = 0.64074  # exact, in place of Kramers
H_ALPHA_STARK = 8.3e-3  # [Å/esu]; electrons broaden it by impacts, so its wings are half as strong
PASCHEN_STARK = 7.1e-5  # [Å/esu], times n⁴m⁴/(m² - n²)
BALMER_ABO = {
    3: (1180.0, 0.677),
    4: (2320.0, 0.455),
    5: (4208.0, 0.380),
}  # Barklem, Piskunov & O'Mara (2000, A&A 363, 1091)
MAX_REACH = 300.0  # [Å]


@lru_cache(maxsize=4)
def hydrogen_lines(wave_min: float, wave_max: float) -> dict[str, np.ndarray]:
    """Vacuum wavelength [Å], levels and f of Balmer, Paschen and Brackett lines near a range."""
    # Hα and Paschen from P8; the lines of other ranges after them
    lower, upper = np.array(
        [(2, 3), *((3, m) for m in range(8, LAST + 1)), *((3, m) for m in (5, 6, 7))]
        + [(2, m) for m in range(4, LAST + 1)]
        + [(4, m) for m in range(9, LAST + 1)]
    ).T
    term = 1.0 / lower**2 - 1.0 / upper**2  # Rydberg formula
    wave = 12398.41984 / (RYDBERG_EV * term)  # hc [eV Å]
    # Kramers' f; its Gaunt factor tends to the bound-free one at the edge (Menzel & Pekeris 1935)
    limit, fall = (np.select([lower == 2, lower == 4], list(pair[:2]), pair[2]) for pair in GAUNT)
    gaunt = limit - fall / upper**2
    f = (
        32.0
        / (3.0 * np.sqrt(3.0) * np.pi)
        * gaunt
        / (fixed.power(lower, 5) * fixed.power(upper, 3) * fixed.power(term, 3))
    )
    f[0] = H_ALPHA_F
    # wings from outside the range count
    near = (wave > wave_min - MAX_REACH) & (wave < wave_max + MAX_REACH)
    found = {"wave": wave, "lower": lower, "upper": upper, "f": f}
    return {name: value[near] for name, value in found.items()}


def stark_constant(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Stark displacement per unit field [Å/esu] that reproduces Lemke's profiles."""
    general = PASCHEN_STARK * fixed.power(lower * upper, 4.0) / (upper**2.0 - lower**2.0)
    return np.where((lower == 2) & (upper == 3), H_ALPHA_STARK, general)


def hydrogen_line_opacity(
    atmosphere: Atmosphere, wave: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """Opacity of hydrogen lines over the standard opacity, shape (n_depth, n_wave).

    Parameters
    ----------
    atmosphere : Atmosphere
    wave : float64, shape (n_wave,)
        Coarse vacuum grid [Å].
    least : float64, shape (n_depth,)
        Opacity over the standard one that matters: wings are cut below it.
    """
    gas = atmosphere.gas
    lines = hydrogen_lines(wave[0], wave[-1])
    centre = lines["wave"]
    # n(level) / n(H I), shape (n_line, n_depth)
    levels = hydrogen_level(lines["lower"][:, None], gas.temperature)
    stimulated = -fixed.expm1(-HC_OVER_K * 1e8 / (centre[:, None] * gas.temperature))
    # ∫σ dλ = πe²/mc f λ²/c; 1e-8: Å to cm
    per_angstrom = CLASSICAL_CROSS_SECTION * lines["f"] * centre**2 * 1e-8 / LIGHT_SPEED
    # relative to the Rosseland opacity
    absorbers = gas.n_hydrogen * levels * stimulated / (atmosphere.opacity * gas.density)
    strength = per_angstrom[:, None] * absorbers
    field = 1.25e-9 * fixed.power(gas.n_electron, 2.0 / 3.0)  # Holtsmark's normal field [esu]
    profile = np.empty((3, centre.size, gas.temperature.size))
    # [Å]: Δλ = constant x field x β
    profile[0] = stark_constant(lines["lower"], lines["upper"])[:, None] * field
    # [km²/s²]; 1e-10: cm² to km²
    thermal = 2.0 * BOLTZMANN * gas.temperature / (1.008 * AMU) * 1e-10
    velocity = np.sqrt(thermal + atmosphere.microturbulence**2)
    profile[1] = centre[:, None] * velocity / LIGHT_SPEED_KM_S  # [Å]
    # resonance broadening only where its cross-section is known
    width = np.zeros((centre.size, gas.temperature.size))
    for m, abo in BALMER_ABO.items():
        here = (lines["lower"] == 2) & (lines["upper"] == m)
        width[here] = abo_width(*abo, 1.008, gas.temperature) * gas.n_hydrogen
    # half-width [Å] from a rate [rad/s]
    angstrom = width / (4.0 * np.pi) * centre[:, None] ** 2 * 1e-8 / LIGHT_SPEED
    profile[2] = angstrom
    contrast = strength / least
    # where the β^(-5/2) wing meets the cut
    stark = fixed.power(profile[0], 0.6) * fixed.power(WING * contrast, 0.4)
    lorentz = np.sqrt(contrast * profile[2] / np.pi)  # where the Lorentz wing meets it
    # and the Doppler core [Å]
    core = profile[1] * np.sqrt(fixed.log(np.maximum(contrast / profile[1], 1.0)))
    reach = np.minimum(np.maximum(np.maximum(stark, lorentz), core), MAX_REACH)
    # -1: too weak at its very centre
    reach = np.where(contrast > profile[0] + profile[1], reach, -1.0)
    return hydrogen_opacity(wave, centre, strength, profile, reach)
