"""Files of published networks, any author's: HDF5 with flux, error and a table of labels.

The error of such a file may be one number everywhere, put there because readers want one (SpecViT
paper, App. L.6: 0.02): that is no error, and is read as none.
"""

import numpy as np

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.dataset.schema import NO_INDEX
from starsmith.data_contract.exchange.published import (
    ERROR,
    FLUX,
    HEADER,
    PUBLISHED_LABELS,
    WAVE,
    open_published,
    read_published,
)
from starsmith.data_contract.exchange.published_observed import ABOUT_FLUX
from starsmith.data_contract.files.hdf5_check import hdf5_array, hdf5_attribute
from starsmith.data_contract.surveys.outside_file import OutsideFile
from starsmith.data_contract.surveys.readers.cards import number
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    RELATIVE,
    KnownLabel,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
)

__all__: list[str] = []

ID_COLUMNS = ("source_id", "targetid")
BLOCK_ROWS = 256  # spectra read together: 8 MB of 4096 pixels
OTHER_NAMES = {"m_h": ("Fe_H", "fe_h", "feh"), "teff": ("teff",), "logg": ("logg",)}


def _recognise(file: OutsideFile) -> str:
    root = file.hdf5
    if root is None or FLUX not in root or WAVE not in root:
        return ""
    whose = "starsmith's" if HEADER in root else "another author's"
    return f"published HDF5 layout, {whose}, {root[FLUX].shape[0]} spectra"


def _read(file: OutsideFile) -> SpectraFile:
    with open_published(file.path) as root:
        size = int(root[FLUX].shape[0])
        told = hdf5_array(root, ERROR, 2)
        first = None if told is None else told[: min(size, BLOCK_ROWS)]
        has_error = first is not None and not np.all(first == first.flat[0])
    return SpectraFile(size, _Blocks(file, has_error).spectrum)


class _Blocks:
    """Spectra read a block at a time."""

    def __init__(self, file: OutsideFile, has_error: bool):
        self._file, self._has_error = file, has_error
        self._start, self._held = -1, None
        told = hdf5_attribute(file.hdf5, "flux")
        self._is_ours = HEADER in file.hdf5 or told == ABOUT_FLUX

    def spectrum(self, k: int) -> SurveySpectrum:
        """One spectrum."""
        start = k - k % BLOCK_ROWS
        if start != self._start:
            rows = slice(start, start + BLOCK_ROWS)
            self._held, self._start = read_published(self._file.path, rows), start
        held, row = self._held, k - start
        error = held.error[row] if self._has_error and held.error is not None else None
        arm = SpectrumArm(wave=held.wave, flux=held.flux[row], error=error)
        params = {name: values[row] for name, values in held.params.items()}
        return SurveySpectrum(
            survey="published",
            arms=(arm,),
            ids=_ids(params, "/".join(self._file.path.parts[-2:]), k),
            unit=RELATIVE,
            velocity=_velocity(params, self._is_ours),
            labels=_labels(params),
            snr=number(params, "snr"),
            meta={"resampled": True},
        )


def _ids(params: dict, file: str, k: int) -> dict[str, str]:
    """Names of a star; a negative ``source_id`` is a data set's hash of another name."""
    known = {name.lower(): int(params[name]) for name in params if name.lower() in ID_COLUMNS}
    source, target = known.get("source_id"), known.get("targetid", NO_INDEX)
    ids = {} if source is None else {"gaia_dr3" if source >= 0 else "source_id": str(source)}
    if target != NO_INDEX:
        ids["targetid"] = str(target)
    return ids or {"row": f"{file} {k}"}


def _labels(params: dict) -> dict[str, KnownLabel]:
    found = {}
    for name, column in PUBLISHED_LABELS.items():
        for spelled in (column, *OTHER_NAMES.get(name, ())):
            if (value := number(params, spelled)) is not None:
                error = number(params, f"{spelled}_err")
                found[name] = KnownLabel(value, error, f"column {spelled}")
                break
    return found


def _velocity(params: dict, is_ours: bool) -> Velocity:
    """Others bring spectra to rest; ours are shifted by the velocity in their table."""
    if not is_ours or "redshift" not in params:
        return Velocity(frame="rest")
    return Velocity(frame="barycentric", rv=_rv(params["redshift"]))


def _rv(redshift: float) -> float | None:
    return LIGHT_SPEED_KM_S * float(redshift) if np.isfinite(redshift) else None


register_survey(
    Survey("published", "HDF5 files of published networks", recognise=_recognise, read=_read)
)
