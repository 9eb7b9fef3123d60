"""Banks: a stellar grid rendered to an instrument's pixels, ready to interpolate."""

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.bank.components import Piece, pieces
from starsmith.data_contract.bank.reddening import ReddeningTables, read_reddening, write_reddening
from starsmith.data_contract.bank.velocity import VelocityTables, read_velocity, write_velocity
from starsmith.data_contract.described import described, span
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import read_steadily, staged_folder
from starsmith.data_contract.files.digests import require_digests, write_digests
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.zarr_groups import (
    ArrayKinds,
    StoredGroup,
    check_arrays,
    open_group,
    read_arrays,
    write_array,
)
from starsmith.data_contract.noise.noise_tables import PER_ARM, SHAPES, NoiseTables
from starsmith.data_contract.quantities import LABELS

__all__ = ["BANK_SCHEMA", "DEGREES", "Bank", "load_bank", "read_bank"]

BANK_SCHEMA = "starsmith.bank"
BANK_VERSION = 1
DEGREES = {"cubic": 3, "linear": 1}


@described
@dataclass(frozen=True, kw_only=True)
class Bank:
    """Spline coefficients of node spectra at the instrument's pixels, and its noise tables.

    flux(labels, mag) = 10^(-0.4 mag) (W · coef) / (W · band_coef) [1e-17 erg/s/cm²/Å], with
    W the tensor product of not-a-knot cubic (or linear) B-splines along each axis. In a
    compressed bank W · coef are amplitudes of the spectra in ``basis``.

    Attributes
    ----------
    grid : dict
        Name and provenance of the stellar grid.
    instrument : dict
        Name and resolved figures of the instrument.
    label_names : tuple of str
    axes : tuple of float64 arrays
        Nodes along each label.
    wave : float64, shape (n_wave,)
        Pixel centres, vacuum [Å].
    coef : float32, shape (n_node, n_wave), or (n_node, n_component) where there is a basis
        Rows are nodes in C order of the axes.
    band_coef : float64, shape (n_node,)
        The same for the photon-weighted band flux [maggies per unit of ``coef``].
    filled : bool, shape (n_node,)
        True where the grid has a hole and the node was filled before prefiltering.
    mag_band : str
        The magnitude's band: a speclite name, or a wavelength as ``ab8000``.
    noise : NoiseTables
    notice : str
        Label of a demonstration grid, else empty.
    velocity : VelocityTables, optional
        What shifting spectra in radial velocity takes.
    interpolation : str
        ``cubic`` or ``linear``: the spline along every axis.
    basis : float32, shape (n_component, n_wave), optional
        Spectra that the coefficients of a compressed bank are amplitudes of.
    reddening : ReddeningTables, optional
        What seeing spectra through dust takes.
    refused : bool, shape (n_node,), optional
        Cells in which a compressed bank promises no error, by the first node of their support:
        draws there are refused.
    info : dict
        JSON-able figures on how the bank was made; they decide no spectrum.
    """

    grid: dict
    instrument: dict
    label_names: tuple[str, ...]
    axes: tuple[np.ndarray, ...]
    wave: np.ndarray
    coef: np.ndarray
    band_coef: np.ndarray
    filled: np.ndarray
    mag_band: str
    noise: NoiseTables
    notice: str = ""
    velocity: VelocityTables | None = None
    interpolation: str = "cubic"
    basis: np.ndarray | None = None
    reddening: ReddeningTables | None = None
    refused: np.ndarray | None = None
    info: dict = field(default_factory=dict)

    def __post_init__(self):
        n_node = int(np.prod([nodes.size for nodes in self.axes]))
        if odd := [
            name
            for name, nodes in zip(self.label_names, self.axes, strict=True)
            if not nodes.size or np.any(np.diff(nodes) <= 0)
        ]:
            raise DataError(f"bank axes {odd} are empty or do not increase")
        width = self.wave.size if self.basis is None else len(self.basis)
        if self.coef.shape != (n_node, width) or self.coef.dtype != np.float32:
            raise DataError(
                f"bank coefficients are {self.coef.dtype} {self.coef.shape}, "
                f"expected float32 {(n_node, width)}"
            )
        if self.basis is not None and self.basis.shape[1:] != self.wave.shape:
            raise DataError(f"bank basis {self.basis.shape} does not span {self.wave.size} pixels")
        if self.interpolation not in DEGREES:
            raise DataError(
                f"bank interpolation {self.interpolation!r} is not one of {list(DEGREES)}"
            )
        if self.band_coef.shape != (n_node,) or self.filled.shape != (n_node,):
            raise DataError(f"bank band_coef and filled need shape ({n_node},)")
        if self.refused is not None and self.refused.shape != (n_node,):
            raise DataError(f"bank refused needs shape ({n_node},), not {self.refused.shape}")

    def _facts(self) -> dict[str, object]:
        return {
            "grid": self.grid.get("name", ""),
            "instrument": self.instrument.get("name", ""),
            "labels": " ".join(self.label_names),
            "nodes": " x ".join(str(len(axis)) for axis in self.axes),
            "pixels": f"{self.wave.size}, {span(self.wave)} Å",
            "band": self.mag_band,
            "notice": self.notice,
        }

    @property
    def degree(self) -> int:
        """Degree of the splines, where an axis has nodes enough."""
        return DEGREES[self.interpolation]

    @property
    def pixel_coef(self) -> np.ndarray:
        """Coefficients at the pixels, float32 (n_node, n_wave), of a compressed bank as well."""
        return self.coef if self.basis is None else self.coef @ self.basis

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Pieces of the basis of a compressed bank."""
        return pieces(self.basis)

    @cached_property
    def may_undershoot(self) -> bool:
        """Whether the interpolated flux can be zero or less somewhere, as far as signs tell.

        Never in a compressed bank: where it could be, draws are refused.
        """
        if self.basis is not None:
            return False
        moving = [self.velocity.coef] if self.velocity else []
        return any(not coef.min() > 0 for coef in (self.coef, self.band_coef, *moving))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides a simulated spectrum."""
        total = hashlib.sha256()
        for array in (*self.axes, self.wave, self.coef, self.band_coef, self.filled):
            total.update(np.ascontiguousarray(array))
        for name, array in sorted(self.noise.arrays().items()):
            total.update(name.encode())
            total.update(np.ascontiguousarray(array))
        for name, array in sorted(self.velocity.arrays().items() if self.velocity else ()):
            total.update(f"velocity/{name}".encode())
            total.update(np.ascontiguousarray(array))
        for name, array in sorted(self.reddening.arrays().items() if self.reddening else ()):
            total.update(f"reddening/{name}".encode())
            total.update(np.ascontiguousarray(array))
        if self.interpolation != "cubic":
            total.update(self.interpolation.encode())
        if self.basis is not None:
            total.update(b"basis")
            total.update(np.ascontiguousarray(self.basis))
        if self.refused is not None:
            total.update(b"refused")
            total.update(np.ascontiguousarray(self.refused))
        return total.hexdigest()

    def save(self, path: Path | str) -> None:
        """Write the bank; ``path`` appears only when it is complete."""
        path = Path(path)
        with writer_lock(path), staged_folder(path, BANK_SCHEMA) as staging:
            group = zarr.open_group(staging, mode="w-")
            for name, nodes in zip(self.label_names, self.axes, strict=True):
                write_array(group, name, nodes, (name,))
            write_array(group, "wave", self.wave, ("wavelength",))
            kind = "wavelength" if self.basis is None else "component"
            chunk = (min(64, len(self.coef)), self.coef.shape[1])
            write_array(group, "coef", self.coef, ("node", kind), chunk)
            if self.basis is not None:
                write_array(group, "basis", self.basis, ("component", "wavelength"))
            write_array(group, "band_coef", self.band_coef, ("node",))
            write_array(group, "filled", self.filled, ("node",))
            if self.refused is not None:
                write_array(group, "refused", self.refused, ("node",))
            write_noise(group, self.noise)
            if self.velocity:
                write_velocity(group, self.velocity)
            if self.reddening:
                write_reddening(group, self.reddening)
            group.attrs.update(
                {
                    "schema": BANK_SCHEMA,
                    "schema_version": BANK_VERSION,
                    "grid": self.grid,
                    "instrument": self.instrument,
                    "label_names": list(self.label_names),
                    "mag_band": self.mag_band,
                    "notice": self.notice,
                    "interpolation": self.interpolation,
                    "info": self.info,
                    "digest": self.digest,
                }
            )
            write_digests(staging)


def write_noise(group: zarr.Group, noise: NoiseTables) -> None:
    """Store noise tables as the subgroup ``noise``."""
    tables = group.create_group("noise")
    for name, values in noise.arrays().items():
        write_array(tables, name, values, tuple(f"{name}_{k}" for k in range(values.ndim)))
    if noise.arm_names:
        tables.attrs["arms"] = [[arm.name, arm.start, arm.stop] for arm in noise.arms]


def read_noise(group: StoredGroup, n_wave: int | None = None) -> NoiseTables:
    """Read the subgroup ``noise``, for so many pixels; DataError if it is missing or damaged."""
    if "noise" not in group:
        raise DataError(f"{group.path}: its noise tables are missing; write it again")
    tables = group.group("noise")
    kinds = {name: ("float64", dims) for name, dims in SHAPES.items()}
    kinds |= {name: ("float64", (), ("arm",)) for name in PER_ARM}
    arrays = read_arrays(tables, kinds, {} if n_wave is None else {"wavelength": n_wave})
    arms = tables.attribute("arms", list, [])
    if not all(isinstance(arm, list) and arm and isinstance(arm[0], str) for arm in arms):
        raise DataError(f"{tables.path}: its arms are {str(arms)[:80]}; write it again")
    return NoiseTables.from_arrays(arrays, tuple(arm[0] for arm in arms))


def load_bank(path: Path | str) -> Bank:
    """Read a bank file.

    Raises
    ------
    DataError
        If ``path`` is not a bank, is damaged, or its contents do not match its digest.

    Examples
    --------
    >>> bank.save("bank.zarr")
    >>> starsmith.load_bank("bank.zarr").digest == bank.digest
    True
    """
    return read_steadily(Path(path), _load)


def _load(path: Path) -> Bank:
    open_group(path, BANK_SCHEMA, BANK_VERSION)
    require_digests(path)
    return read_bank(path)


def read_bank(path: Path) -> Bank:
    """Read a bank file whose digest tree is checked elsewhere; raises as `load_bank` does."""
    group = open_group(path, BANK_SCHEMA, BANK_VERSION)
    names = group.names("label_names", LABELS)
    sizes = axis_sizes(group, names)
    arrays = read_arrays(group, _kinds(names), sizes, ("wave", "coef", "band_coef", "filled"))
    if odd := [name for name, values in arrays.items() if not np.isfinite(values).all()]:
        raise DataError(f"{path}: array(s) {odd} hold NaN or infinity; render the bank again")
    sizes["wavelength"] = arrays["wave"].size
    bank = Bank(
        grid=group.attribute("grid", dict),
        instrument=group.attribute("instrument", dict),
        label_names=names,
        axes=tuple(arrays[name] for name in names),
        wave=arrays["wave"],
        coef=arrays["coef"],
        band_coef=arrays["band_coef"],
        filled=arrays["filled"],
        mag_band=group.attribute("mag_band", str),
        noise=read_noise(group, arrays["wave"].size),
        notice=group.attribute("notice", str),
        velocity=read_velocity(group, sizes),
        interpolation=group.attribute("interpolation", str, "cubic"),
        basis=arrays.get("basis"),
        refused=arrays.get("refused"),
        reddening=read_reddening(group, sizes),
        info=group.attribute("info", dict, {}),
    )
    if bank.digest != group.attribute("digest", str):
        raise DataError(f"{path}: contents do not match their digest; render the bank again")
    return bank


def axis_sizes(group: StoredGroup, names: tuple[str, ...]) -> dict[str, int]:
    """Numbers of nodes along each axis of a grid or bank, and of all nodes as ``node``.

    Raises
    ------
    DataError
        If an axis is missing or not float64 of one dimension.
    """
    layouts = check_arrays(group, {name: ("float64", (name,)) for name in names}, needed=names)
    sizes = {name: layout.shape[0] for name, layout in layouts.items()}
    return sizes | {"node": math.prod(sizes.values())}


def _kinds(names: tuple[str, ...]) -> ArrayKinds:
    """Types and dimensions of a bank's own arrays."""
    return {
        **{name: ("float64", (name,)) for name in names},
        "wave": ("float64", ("wavelength",)),
        "coef": ("float32", ("node", "spectrum")),
        "basis": ("float32", ("spectrum", "wavelength")),
        "band_coef": ("float64", ("node",)),
        "filled": ("bool", ("node",)),
        "refused": ("bool", ("node",)),
    }
