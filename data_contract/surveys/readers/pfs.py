"""Subaru PFS: pfsObject and pfsSingle, pfsMerged and pfsArm with the pfsConfig beside them.

Layouts: https://github.com/Subaru-PFS/datamodel (datamodel.txt). Wavelengths are nm in vacuum; the
flux of objects is nJy, that of arms and merged spectra counts.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.exchange.pfs_files import TABLES, PfsObject, read_pfs_object
from starsmith.data_contract.masks import MASK_BITS
from starsmith.data_contract.surveys.outside_file import OutsideFile, damage_of, open_outside
from starsmith.data_contract.surveys.readers.cards import number
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    FLUX_CGS,
    RELATIVE,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
)

__all__: list[str] = []

IMAGES = ("FLUX", "MASK", "WAVELENGTH", "COVAR")
DESIGNS = ("pfsDesignId", "pfsConfigId")
FIBRES = ("DESIGN", "CONFIG")


def _recognise(file: OutsideFile) -> str:
    if any(name in file.hdu_names for name in TABLES):
        single = "OBSERVATIONS" in file.hdu_names and len(file.hdus["OBSERVATIONS"].data) == 1
        return "PFS pfsSingle" if single else "PFS pfsObject"
    if any(file.has_columns(name, ["fiberId", "objId"]) for name in FIBRES):
        return "PFS pfsConfig"
    if set(IMAGES) <= set(file.hdu_names):
        return f"PFS pfsArm or pfsMerged, {file.hdus['FLUX'].shape[0]} fibres"
    return ""


def _read(file: OutsideFile) -> SpectraFile:
    if any(name in file.hdu_names for name in TABLES):
        return SpectraFile(1, lambda number: _object(read_pfs_object(file.path)))
    if "FLUX" not in file.hdu_names:
        raise file.error("a pfsConfig holds no spectra; read the pfsArm or pfsMerged beside it")
    return _fibres(file)


def _object(found: PfsObject) -> SurveySpectrum:
    """One object; its table goes through the arms one after the other."""
    planes = found.planes or dict(MASK_BITS)
    breaks = np.flatnonzero(np.diff(found.wave) <= 0) + 1
    arms = [
        SpectrumArm(
            wave=found.wave[part],
            flux=found.flux[part],
            error=found.error[part],
            mask=found.mask[part],
            name=f"arm{k}" if breaks.size else "",
            planes=planes,
            flags=found.mask[part],
        )
        for k, part in enumerate(np.split(np.arange(found.wave.size), breaks))
    ]
    velocity = Velocity(frame="rest" if found.at_rest else "")
    ids = _ids(found.identity)
    return SurveySpectrum(survey="pfs", arms=tuple(arms), ids=ids, unit=FLUX_CGS, velocity=velocity)


def _ids(identity: Mapping[str, object]) -> dict[str, str]:
    """Names of an object: catalogue and number, and the number alone."""
    known = {name: identity.get(name) for name in ("catId", "objId")}
    if known["objId"] is None:
        return {}
    return {"pfs": f"{known['catId'] or 0}-{known['objId']}", "obj_id": str(known["objId"])}


def _fibres(file: OutsideFile) -> SpectraFile:
    flux, mask, wave = (file.image(name, 2) for name in IMAGES[:3])
    covar = file.image("COVAR", 3)
    for name, image in (("MASK", mask), ("WAVELENGTH", wave)):
        if image.shape != flux.shape:
            raise file.error(f"{name} has shape {image.shape}, FLUX {flux.shape}")
    if (covar.shape[0], covar.shape[-1]) != flux.shape:
        raise file.error(f"COVAR has shape {covar.shape}, FLUX {flux.shape}")
    cards = file.header("MASK")
    planes = {n[3:]: int(cards[n]) for n in cards if n.startswith("MP_")} or dict(MASK_BITS)
    fibres = file.image("FIBERID", 1)[:].tolist() if "FIBERID" in file.hdu_names else None
    config = _config(file)

    def get(k: int) -> SurveySpectrum:
        variance = covar[k][0]
        with np.errstate(invalid="ignore"):
            error = np.sqrt(np.where(variance > 0, variance, np.nan))
        arm = SpectrumArm(
            wave=ANGSTROM_PER_NM * wave[k],
            flux=flux[k],
            error=error,
            mask=mask[k],
            planes=planes,
            flags=mask[k],
        )
        fibre = fibres[k] if fibres else k + 1
        star = config.get(fibre, {})
        ids = {**_ids(star), "spectrum": f"{file.path.name} fibre {fibre}"}
        meta = {name: number(star, name) for name in ("ra", "dec")}
        return SurveySpectrum(survey="pfs", arms=(arm,), ids=ids, unit=RELATIVE, meta=meta)

    return SpectraFile(len(flux), get)


def _config(file: OutsideFile) -> dict[int, dict[str, object]]:
    """Fibre -> object, of the pfsConfig of this design beside the file; empty without one."""
    design = next((file.header()[n] for n in DESIGNS if n in file.header()), None)
    if design is None and file.has_columns("CONFIG", ["pfsConfigId"]):
        design = file.columns("CONFIG")[0]["pfsConfigId"]
    if design is None:
        return {}
    names = sorted(file.path.parent.glob(f"pfsConfig-0x*{int(design):x}*.fits"))
    return damage_of(names[0], lambda: _objects(names[0])) if names else {}


def _objects(path: Path) -> dict[int, dict[str, object]]:
    with open_outside(path) as config:
        table = next((n for n in FIBRES if config.has_columns(n, ["fiberId", "objId"])), None)
        if table is None:
            raise config.error(f"no table {' or '.join(FIBRES)} of fibres")
        rows = config.columns(table)
        kept = [n for n in ("catId", "objId", "ra", "dec") if n in rows.columns.names]
        return {int(r["fiberId"]): {n: np.asarray(r[n]).item() for n in kept} for r in rows}


register_survey(
    Survey(
        "pfs", "pfsObject, pfsSingle, pfsMerged and pfsArm files", recognise=_recognise, read=_read
    )
)
