"""What a file of somebody else's is, and how it is ingested."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

import numpy as np

from starsmith.data_contract.described import span
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.outside_file import open_outside
from starsmith.data_contract.surveys.registry import SpectraFile, open_spectra, recognise
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum

__all__ = ["describe_spectra", "is_spectra"]

COUNTED = 100  # spectra whose flags are counted


def is_spectra(path: Path) -> str:
    """Survey that a file is of, empty where none knows it."""
    with open_outside(path) as file:
        known = recognise(file)
        return known[0].name if known else ""


def describe_spectra(path: Path) -> dict:
    """Summarise a file of spectra: what it is, its arms and flags, and the command to ingest it.

    Flags and usable pixels are those of the first `COUNTED` spectra.

    Raises
    ------
    DataError
        If no survey knows it, or it is damaged.
    """
    with open_outside(path) as file:
        known = recognise(file)
        if known is None:
            raise file.error("no survey that is read knows it")
        survey, what = known[0].name, known[1]
        summary = {
            "survey": survey,
            "what": what,
            "ingest": f"specdata ingest {survey} {quote(str(path))} --catalogue LABELS.csv "
            f"--out {survey}.zarr",
        }
        if lacking := known[0].needs():
            return summary | {"needs": lacking}
        spectra = open_spectra(file)
        found = list(_readable(spectra))
        if not found:
            spectra[0]  # says why
        first = next((s for s in found if any(a.usable.any() for a in s.arms)), found[0])
        return {
            **summary,
            "spectra": len(spectra),
            "star": first.source_id,
            "flux": first.unit,
            "error": "one per pixel" if first.has_error else "none",
            "wavelengths": f"vacuum, {first.velocity.frame or 'frame not told'}",
            "labels": {n: f"{v.value:g} ({v.source})" for n, v in first.labels.items()},
            "arms": [_arm(arm, k, found) for k, arm in enumerate(first.arms)],
        }


def _readable(spectra: SpectraFile) -> Iterator[SurveySpectrum]:
    for number in range(min(len(spectra), COUNTED)):
        with suppress(DataError):
            yield spectra[number]


def _arm(arm: SpectrumArm, k: int, found: list[SurveySpectrum]) -> dict:
    same = [s.arms[k] for s in found if len(s.arms) > k]
    flags: dict[str, int] = {}
    for other in same:
        for name, count in other.flag_counts().items():
            flags[name] = flags.get(name, 0) + count
    power = arm.resolving_power
    power = None if power is None else power[np.isfinite(power)]
    return {
        "name": arm.name or "one",
        "pixels": arm.wave.size,
        "Å": span(arm.wave),
        "resolving_power": f"{power.min():.0f}..{power.max():.0f}"
        if power is not None and power.size
        else "not told",
        "usable": f"{np.mean([other.usable.mean() for other in same]):.1%}",
        "flags": {name: count for name, count in flags.items() if count},
    }
