"""The glossary as code: names, units and fixed edges shared by every package."""

__all__ = ["CONDITIONS", "FLUX_UNIT", "LABELS", "SNR_EDGES", "SPECVIT_SNR_EDGES", "SPLITS", "UNITS"]

LABELS = ("teff", "logg", "m_h", "a_m", "c_m")
"""Stellar labels, in the order of every label array."""

CONDITIONS = (
    "seeing",
    "zenith_angle",
    "field_angle",
    "moon_zenith_angle",
    "moon_target_angle",
    "moon_phase",
    "exp_time",
    "exp_count",
)
"""Observing conditions, in the order of every condition array."""

SPLITS = {"train": 0, "val": 1, "test": 2}
"""Split name -> last word of the random counter; splits can never share a draw."""

SNR_EDGES = (0.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.0, float("inf"))
"""Default edges of signal-to-noise bins [per pixel]."""

SPECVIT_SNR_EDGES = (2.5, 3.5, 4.5, 5.5, 6.5, 8.5, 12.5, 18.0, 28.0)
"""Bins of the SpecViT paper's logs; its S/N is another statistic, see docs/ceilings.md."""

FLUX_UNIT = "1e-17 erg s-1 cm-2 Angstrom-1"

UNITS = {
    "wave": "Angstrom",
    "flux": FLUX_UNIT,
    "flux_model": FLUX_UNIT,
    "error": FLUX_UNIT,
    "mask": "1",
    "teff": "K",
    "logg": "dex(cm s-2)",
    "m_h": "dex",
    "a_m": "dex",
    "c_m": "dex",
    "rv": "km s-1",
    "ebv": "mag",
    "mag": "mag(AB)",
    "snr": "1",
    "index": "1",
    "seeing": "arcsec",
    "zenith_angle": "deg",
    "field_angle": "deg",
    "moon_zenith_angle": "deg",
    "moon_target_angle": "deg",
    "moon_phase": "1",
    "exp_time": "s",
    "exp_count": "1",
}
"""Unit of every named quantity, written into every file."""
