"""Signal-to-noise per pixel, per ångström and per resolution element."""

from collections.abc import Mapping, Sequence

import numpy as np

from starsmith.data_contract.arms import ArmSpan, arm_spans

__all__ = ["line_widths", "pixel_factors", "resolution_pixels", "snr_factors"]

PIXEL_IN_FWHM2 = 8.0 * np.log(2.0) / 12.0  # a box of one pixel, as the FWHM² of its variance


def resolution_pixels(
    instrument: Mapping, wave: np.ndarray, arms: Sequence[ArmSpan] | None = None
) -> np.ndarray | None:
    """Full width at half maximum of the line profile, pixel included, at every pixel.

    Widths add in quadrature, as those of a Gaussian and a box one pixel wide do to 0.3 % where
    the Gaussian is as wide as PFS's.

    Parameters
    ----------
    instrument : mapping
        Resolved figures, as banks and data sets record them.
    wave : float64 array, shape (n_wave,)
        Pixel centres [Å].
    arms : sequence of ArmSpan, optional
        One arm by default.

    Returns
    -------
    width : float64 array, shape (n_wave,) [pixel], or None
        None where the figures hold no width.
    """
    arms = arms or arm_spans((), None, wave.size)
    figures = instrument.get("arms", [])
    if len(figures) != len(arms) or any("lsf_fwhm_pixel" not in arm for arm in figures):
        return None
    width = np.empty(wave.size)
    for span, arm in zip(arms, figures, strict=True):
        nodes = 10.0 * np.atleast_1d(np.asarray(arm["lsf_wave_nm"], dtype=np.float64))
        sharp = np.interp(wave[span.pixels], nodes, np.atleast_1d(arm["lsf_fwhm_pixel"]))
        width[span.pixels] = np.sqrt(np.square(sharp) + PIXEL_IN_FWHM2)
    return width


def line_widths(
    instrument: Mapping, wave: np.ndarray, arms: Sequence[ArmSpan] | None = None
) -> np.ndarray | None:
    """Full width at half maximum of the line profile, pixel included [Å]; see above."""
    width = resolution_pixels(instrument, wave, arms)
    if width is None:
        return None
    spans = arms or arm_spans((), None, wave.size)
    return width * np.concatenate([np.gradient(wave[span.pixels]) for span in spans])


def pixel_factors(
    instrument: Mapping, wave: np.ndarray, arms: Sequence[ArmSpan] | None = None
) -> dict[str, np.ndarray]:
    """What to multiply the signal-to-noise of each pixel by, pixels taken as independent.

    Parameters
    ----------
    instrument, wave, arms
        As in `resolution_pixels`.

    Returns
    -------
    factors : dict of str to float64 array, shape (n_wave,)
        ``pixel`` 1, ``angstrom`` 1/√Δλ and, where the instrument's figures hold the line width,
        ``element`` √FWHM.
    """
    spans = arms or arm_spans((), None, wave.size)
    step = np.concatenate([np.gradient(wave[span.pixels]) for span in spans])
    factors = {"pixel": np.ones(wave.size), "angstrom": 1.0 / np.sqrt(step)}
    width = resolution_pixels(instrument, wave, arms)
    if width is not None:
        factors["element"] = np.sqrt(width)
    return factors


def snr_factors(
    instrument: Mapping, wave: np.ndarray, arms: Sequence[ArmSpan] | None = None
) -> dict[str, float]:
    """What to multiply a signal-to-noise per pixel by: medians of `pixel_factors`.

    Parameters
    ----------
    instrument, wave, arms
        As in `resolution_pixels`.

    Returns
    -------
    factors : dict of str to float
        ``per_pixel``, ``per_angstrom`` and, where the line width is known, ``per_element``: 1,
        1.53 and 1.77 for PFS MR.
    """
    factors = pixel_factors(instrument, wave, arms)
    return {f"per_{name}": float(np.median(values)) for name, values in factors.items()}
