"""DESI spectra that came through an archive: saved SPARCL results, and HDF5 files made of them.

SPARCL (https://astrosparcl.datalab.noirlab.edu) sends records of one joined arm: wavelength [Å,
vacuum], flux [1e-17 erg/s/cm²/Å], ivar, mask, redshift. HDF5 files of the SpecViT paper (App. L)
hold N x 7781 fluxes at rest, 3600 Å on every 0.8 Å, and no error: its constant 0.02 is none.
"""

from collections.abc import Mapping

import h5py
import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.hdf5_check import hdf5_array
from starsmith.data_contract.observed import error_of_ivar
from starsmith.data_contract.surveys.outside_file import OutsideFile
from starsmith.data_contract.surveys.readers.cards import number, rv_of_redshift
from starsmith.data_contract.surveys.registry import SpectraFile
from starsmith.data_contract.surveys.spectrum import (
    KnownLabel,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
    our_mask,
    planes_of,
)

__all__ = ["MEANING", "PLANES", "read_archived", "recognise_archived"]

PLANES = planes_of(
    "SOMEBADPIX ALLBADPIX COSMIC LOWFLAT BADFIBERFLAT BRIGHTSKY BADSKY BAD2DFIT NODATA BADFIBER"
)
"""Bits of a spectral pixel's mask (desispec.maskbits.specmask)."""

MEANING = {
    **{"ALLBADPIX": "NO_DATA", "NODATA": "NO_DATA", "BADSKY": "SUSPECT"},
    **dict.fromkeys(("LOWFLAT", "BADFIBERFLAT", "BAD2DFIT"), "BAD"),
}

FLUXES = ("spectra", "flux")
WAVES = ("wavelength", "wave")
FIRST, STEP, PIXELS = 3600.0, 0.8, 7781  # Å; of the files that do not tell
LABELS = {"teff": "teff", "logg": "logg", "feh": "m_h"}
BLOCK_ROWS = 128  # spectra read together: 4 MB


def recognise_archived(file: OutsideFile) -> str:
    """What the file is; empty if it is none of these."""
    if file.kind == "HDF5":
        found = _group(file.hdf5)
        return "" if found is None else f"DESI local HDF5, {found['targetid'].shape[0]} spectra"
    records = _records(file)
    return f"DESI SPARCL results, {len(records)} spectra" if records else ""


def read_archived(file: OutsideFile) -> SpectraFile:
    """Spectra of a file that `recognise_archived` knows."""
    if file.kind == "HDF5":
        return _local(file)
    records = _records(file)
    return SpectraFile(len(records), lambda k: _record(records[k]))


def _records(file: OutsideFile) -> list[dict]:
    """Records of a saved answer: a list, or a list named ``records``."""
    held = file.json
    if isinstance(held, dict):
        held = held.get("records")
    rows = held if isinstance(held, list) else []
    return [r for r in rows if isinstance(r, dict) and {"wavelength", "flux", "ivar"} <= set(r)]


def _record(record: Mapping) -> SurveySpectrum:
    wave, flux, ivar = (np.array(record[n], np.float64) for n in ("wavelength", "flux", "ivar"))
    flags = np.array(record.get("mask") or np.zeros(wave.size), np.int64)
    arm = SpectrumArm(
        wave=wave,
        flux=flux,
        error=error_of_ivar(ivar),
        mask=our_mask(flags, PLANES, MEANING),
        planes=PLANES,
        flags=flags,
    )
    names = {"targetid": record.get("targetid") or record.get("specid")}
    names["sparcl_id"] = record.get("sparcl_id")
    is_star = str(record.get("spectype", "STAR")).upper() == "STAR"
    return SurveySpectrum(
        survey="desi",
        arms=(arm,),
        ids={name: str(value) for name, value in names.items() if value is not None},
        velocity=Velocity(
            frame="barycentric",
            rv=rv_of_redshift(number(record, "redshift")) if is_star else None,
        ),
        meta={name: number(record, name) for name in ("ra", "dec")},
    )


def _group(root: h5py.File | None) -> dict[str, h5py.Dataset] | None:
    """Arrays of the first group, or of the file itself, that has spectra and targets."""
    if root is None:
        return None
    for prefix in ("", *(f"{name}/" for name in sorted(root)[:16])):
        flux = next((f"{prefix}{n}" for n in FLUXES if f"{prefix}{n}" in root), None)
        if flux is None or f"{prefix}targetid" not in root:
            continue
        targets = hdf5_array(root, f"{prefix}targetid", 1)
        found = {"flux": hdf5_array(root, flux, 2), "targetid": targets}
        for name in (*LABELS, "ivar"):
            if f"{prefix}{name}" in root:
                found[name] = hdf5_array(root, f"{prefix}{name}")
        wave = next((n for p in (prefix, "") for n in WAVES if f"{p}{n}" in root), None)
        if wave is not None:
            path = f"{prefix}{wave}" if f"{prefix}{wave}" in root else wave
            found["wave"] = hdf5_array(root, path, 1)
        return found
    return None


def _local(file: OutsideFile) -> SpectraFile:
    found = _group(file.hdf5)
    flux = found["flux"]
    size, n_wave = flux.shape
    if lengths := {n: v.shape for n, v in found.items() if n != "wave" and v.shape[0] != size}:
        raise file.error(f"{size} spectra, but {lengths}")
    if "wave" in found:
        wave = found["wave"][...].astype(np.float64)
    elif n_wave == PIXELS:
        wave = FIRST + STEP * np.arange(PIXELS)
    else:
        raise file.error(f"{n_wave} pixels and no wavelength; expected {PIXELS}, or an array of it")
    names = found["targetid"][...]
    labels = {ours: found[theirs][...] for theirs, ours in LABELS.items() if theirs in found}
    blocks: dict[int, dict[str, np.ndarray]] = {}

    def block(start: int) -> dict[str, np.ndarray]:
        if start not in blocks:
            blocks.clear()
            arrays = [n for n in ("flux", "ivar") if n in found]
            blocks[start] = {n: found[n][start : start + BLOCK_ROWS] for n in arrays}
        return blocks[start]

    def get(k: int) -> SurveySpectrum:
        held, row = block(k - k % BLOCK_ROWS), k % BLOCK_ROWS
        if names.dtype.kind not in "iu":
            raise DataError("targetid holds no whole numbers")
        ivar = held["ivar"][row].astype(np.float64) if "ivar" in held else None
        arm = SpectrumArm(
            wave=wave,
            flux=held["flux"][row],
            error=None if ivar is None else error_of_ivar(ivar),
        )
        known = {n: float(v[k]) for n, v in labels.items() if np.isfinite(v[k])}
        return SurveySpectrum(
            survey="desi",
            arms=(arm,),
            ids={"targetid": str(int(names[k]))},
            velocity=Velocity(frame="rest"),
            labels={n: KnownLabel(v, None, "the file's own") for n, v in known.items()},
            meta={"resampled": True},
        )

    return SpectraFile(size, get)
