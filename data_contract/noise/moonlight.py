"""How much moonlight the air scatters towards the telescope: geometry and phase of the moon."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract import fixed_math as fixed

__all__ = ["is_moonlit", "moon_scattering"]

RAYLEIGH = 2.29e5  # of air, Krisciunas & Schaefer (1991) equation 17
HORIZON_DEG = 90.0


def is_moonlit(named: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether the moon shines at all: risen, and not new.

    Parameters
    ----------
    named : mapping of str to float64 array, shape (n_spec,)
        Conditions by name; phase 0 and 1 are new moon, 0.5 is full.

    Returns
    -------
    moonlit : bool array, shape (n_spec,)
    """
    return (named["moon_zenith_angle"] < HORIZON_DEG) & (named["moon_phase"] % 1.0 != 0.0)


def moon_scattering(named: Mapping[str, np.ndarray], extinction: float) -> np.ndarray:
    """Brightness of the moonlit sky in V by its two causes; Krisciunas & Schaefer (1991).

    Parameters
    ----------
    named : mapping of str to float64 array, shape (n_spec,)
        Conditions by name.
    extinction : float
        In V [mag/airmass].

    Returns
    -------
    brightness : float64 array, shape (n_spec, 2)
        Scattered by molecules and by aerosols [nanolambert]; 0 where the moon does not shine.
    """
    moonlit = is_moonlit(named)
    if not moonlit.any():  # as in most surveys: half of what conditions cost
        return np.zeros((moonlit.size, 2))
    phase_angle = 360.0 * np.abs(named["moon_phase"] % 1.0 - 0.5)  # 0 at full moon [deg]
    moon = fixed.power(
        # equation 20: illuminance of the moon
        10.0,
        -0.4 * (3.84 + 0.026 * phase_angle + 4e-9 * fixed.power(phase_angle, 4)),
    )
    moon *= np.where(phase_angle < 7.0, 1.35 - 0.05 * phase_angle, 1.0)  # opposition effect
    separation = named["moon_target_angle"]
    molecules = RAYLEIGH * (1.06 + np.cos(np.radians(separation)) ** 2)  # equation 17
    aerosols = fixed.power(10.0, 6.15 - separation / 40.0)  # equation 18
    # moonlight that gets to the air
    reaches = fixed.power(10.0, -0.4 * extinction * _airmass(named["moon_zenith_angle"]))
    # and is scattered on the line of sight
    scatters = 1.0 - fixed.power(10.0, -0.4 * extinction * _airmass(named["zenith_angle"]))
    common = np.where(moonlit, moon * reaches * scatters, 0.0)
    return common[:, None] * np.stack([molecules, aerosols], axis=1)


def _airmass(zenith_angle: np.ndarray) -> np.ndarray:
    return 1.0 / np.sqrt(1.0 - 0.96 * np.sin(np.radians(zenith_angle)) ** 2)
