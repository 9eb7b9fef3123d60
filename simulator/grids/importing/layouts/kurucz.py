"""Flux tables of Kurucz and Castelli: ``.flx`` and ``.dat``, a line a wavelength; ``.pck``, packed.

A model begins with ``TEFF   5750.  GRAVITY 4.50000`` and tells ``[-0.5]``, or ``[-0.5a]`` where
[α/M] = +0.4, here or in a TITLE line. Lines ``FLUX  i  nm  Hz  H_nu  H_nu(continuum)  ratio``
follow; or, packed, all H_nu and all continuum in fields of ten characters, with the wavelengths
[nm] once, behind a line END. H_nu is Eddington's flux: F = 4 π H.
"""

import re
from collections.abc import Iterator

import numpy as np

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.outside import one_line, read_file, unpack
from starsmith.simulator.grids.importing.layout import FoundModel, Layout, SpectraFile
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import RawSpectrum, Statement

__all__ = ["KURUCZ"]

SUFFIXES = (".flx", ".pck", ".flx.gz", ".pck.gz")
CASTELLI = re.compile(r"f[pm]\d\d[a-z]*t\d+g\d+.*\.dat(\.gz)?")
HEAD = re.compile(r"TEFF\s+(?P<teff>\d+\.?\d*)\s+GRAVITY\s+(?P<logg>-?\d+\.?\d*)")
METALS = re.compile(r"\[\s*(?P<m_h>[-+]?\d+\.\d+)\s*(?P<alpha>[aA]?)(?:[^\]]*)\]")
ALPHA = 0.4  # [α/M] of models marked a
FIELD = 10  # characters of a packed number
MOST_TEXT = 2**28  # bytes: ten times a file of 476 models
WORDS = 7
LINE = (slice(9, 18), slice(38, 51), slice(51, 64))  # nm, H_nu, continuum: fluxpack's format


def _read(file: SpectraFile) -> Iterator[FoundModel]:
    lines = _lines(file)
    heads = [i for i, line in enumerate(lines) if line.startswith("TEFF")]
    if not heads:
        raise GridError("has no line that begins with TEFF; it is no flux table of Kurucz")
    wave = _shared_wave(lines[: heads[0]])
    for number, (start, end) in enumerate(zip(heads, [*heads[1:], len(lines)], strict=True), 1):
        block = lines[start:end]
        labels = _labels(block)
        member = f"model {number}, {labels.teff:g} K, log g {labels.logg:g}"
        try:
            spectrum = _unpacked(block, wave) if _is_packed(block) else _listed(block)
        except ValueError as problem:
            raise DataError(f"{member} is damaged ({problem}); fetch it again") from None
        yield FoundModel(labels, spectrum, member)


def _lines(file: SpectraFile) -> list[str]:
    try:
        content = read_file(file.path, MOST_TEXT)
        if file.path.suffix == ".gz":
            content = unpack(content, "gz", MOST_TEXT)
        return content.decode("ascii").splitlines()
    except (OSError, ValueError) as problem:
        raise DataError(f"cannot be read ({one_line(problem)})") from None


def _labels(block: list[str]) -> NodeLabels:
    head = HEAD.match(block[0])
    metals = next((m for line in block[:3] if (m := METALS.search(line))), None)
    if head is None or metals is None:
        raise GridError(f"a model begins {block[0][:60]!r}, without TEFF, GRAVITY and [M/H]")
    alpha = ALPHA if metals["alpha"] else 0.0
    return NodeLabels(float(head["teff"]), float(head["logg"]), 0.0 + float(metals["m_h"]), alpha)


def _is_packed(block: list[str]) -> bool:
    return not any(line.startswith("FLUX") for line in block[:4])


def _listed(block: list[str]) -> RawSpectrum:
    """Spectrum of a model with a line a wavelength."""
    rows = [_fields(line) for line in block if line.startswith("FLUX")]
    rows = [row for row in rows if row[0].strip() and float(row[0]) > 0]  # a blank line ends it
    table = np.array(rows, dtype=np.float64)
    return RawSpectrum(wave=table[:, 0], value=table[:, 1], continuum=table[:, 2])


def _fields(line: str) -> list[str]:
    """Wavelength, H and its continuum: by words, or by columns where numbers touch."""
    words = line.split()
    return [words[2], *words[4:6]] if len(words) == WORDS else [line[column] for column in LINE]


def _shared_wave(lines: list[str]) -> np.ndarray | None:
    """Wavelengths before the first model [nm]; None where there are none."""
    end = next((i for i, line in enumerate(lines) if line.strip() == "END"), None)
    if end is None:
        return None
    try:
        return np.array(" ".join(lines[end + 1 :]).split(), dtype=np.float64)
    except ValueError as problem:
        raise DataError(f"its wavelengths are damaged ({problem}); fetch it again") from None


def _unpacked(block: list[str], wave: np.ndarray | None) -> RawSpectrum:
    if wave is None:
        raise ValueError("no wavelengths after a line END before the first model")
    text = "".join(line.rstrip("\n").ljust(len(line) + (-len(line)) % FIELD) for line in block[1:])
    values = np.array(
        [text[i : i + FIELD] for i in range(0, len(text), FIELD) if text[i : i + FIELD].strip()],
        dtype=np.float64,
    )
    if values.size != 2 * wave.size:
        raise ValueError(f"{values.size} numbers, expected {wave.size} of H and of continuum")
    return RawSpectrum(wave=wave, value=values[: wave.size], continuum=values[wave.size :])


KURUCZ = Layout(
    name="kurucz",
    title="ATLAS9 fluxes of Kurucz and Castelli",
    citation="Kurucz 1993 (CD-ROM 13); Castelli & Kurucz 2003, IAU Symp. 210, A20",
    says=Statement(wave_unit="nm"),
    usual=Statement(flux="H_nu"),
    owns=lambda name: name.lower().endswith(SUFFIXES) or CASTELLI.fullmatch(name) is not None,
    read=_read,
    sampled_resolution=True,
)
