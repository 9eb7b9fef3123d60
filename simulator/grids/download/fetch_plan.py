"""What to download for a box of labels, settled before any connection is opened."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.grids.bosz import names2017, release2024
from starsmith.simulator.grids.bosz.cropped import CROPPED, cropped_bytes
from starsmith.simulator.grids.bosz.names2017 import (
    COMPOSITIONS,
    ArchiveName,
    NodeLabels,
    bosz2017_missing,
    bosz2017_nodes,
    bosz2017_path,
    fits_bytes,
)
from starsmith.simulator.grids.bosz.release2024 import (
    bosz2024_atmosphere,
    bosz2024_nodes,
    bosz2024_path,
)
from starsmith.simulator.grids.bosz.releases import parse_archive_name

__all__ = ["FetchPlan", "PlannedFile", "plan_fetch"]

ARCHIVE_RANGE = (500.0, 320_000.0)  # Å, of the wider release
# Bytes per wavelength sample of the compressed texts, for planning: the R = 200 file of 2017;
# the R = 20000 folders of 2024.
ASCII_BZ2_ROW = 11.1
TEXT_GZ_ROW = 4.9


class PlannedFile(NamedTuple):
    """One file of a plan.

    Attributes
    ----------
    name : str
        File name, on disk and in the archive.
    path : str
        Place below the archive's address, not escaped.
    labels : NodeLabels
    n_bytes : int
        Size: exact for FITS, within a quarter for compressed text.
    """

    name: str
    path: str
    labels: NodeLabels
    n_bytes: int


@dataclass(frozen=True, kw_only=True)
class FetchPlan:
    """The files of a box of labels.

    Attributes
    ----------
    release : str
        ``2017`` or ``2024``.
    base_url : str
        Address the files' paths are below.
    resolution : int
        wave / FWHM.
    file_format : str
        ``fits``, ``ascii`` or ``text``.
    microturbulence : float
        [km/s]
    files : tuple of PlannedFile
        In label order.
    never_computed : tuple of NodeLabels
        Nodes of the box known not to exist, hence not asked for.
    crop : (float, float) or None
        Vacuum range that is kept of each file [Å]; whole files where there is none.
    """

    release: str
    base_url: str
    resolution: int
    file_format: str
    microturbulence: float
    files: tuple[PlannedFile, ...]
    never_computed: tuple[NodeLabels, ...]
    crop: tuple[float, float] | None = None

    def kept_name(self, file: PlannedFile) -> str:
        """Name on disk of what is kept of a file."""
        return file.name if self.crop is None else f"{file.name}{CROPPED}"

    def kept_bytes(self, file: PlannedFile) -> int:
        """Size of what is kept of a file [byte]."""
        if self.crop is None:
            return file.n_bytes
        return cropped_bytes(parse_archive_name(file.name), *self.crop)

    @property
    def setup(self) -> dict[str, object]:
        """What all files of a folder share, so that it can be imported as one grid."""
        return {
            "release": f"BOSZ {self.release}",
            "resolution": self.resolution,
            "format": self.file_format,
            "microturbulence_km_s": self.microturbulence,
            **({} if self.crop is None else {"cropped_to_angstrom": list(self.crop)}),
        }


class _Layout(NamedTuple):
    """How a release arranges its files."""

    base_url: str
    resolutions: tuple[int, ...]
    formats: tuple[str, ...]
    microturbulences: tuple[int, ...]
    nodes: Callable[[Iterable[tuple[float, float, float]]], Iterator[NodeLabels]]
    missing: Callable[[NodeLabels], bool]
    path: Callable[[NodeLabels, int, str, float], str]
    n_bytes: Callable[[int, str], int]


def _bytes_2017(resolution: int, file_format: str) -> int:
    if file_format == "fits":
        return fits_bytes(resolution)
    return int(ASCII_BZ2_ROW * 2 * resolution * math.log(320.0))


def _path_2024(labels: NodeLabels, resolution: int, _: str, microturbulence: float) -> str:
    atmosphere = bosz2024_atmosphere(labels)
    return bosz2024_path(ArchiveName("2024", labels, resolution, microturbulence, atmosphere))


LAYOUTS = {
    "2017": _Layout(
        base_url=names2017.ARCHIVE,
        resolutions=names2017.RESOLUTIONS,
        formats=tuple(reversed(names2017.FORMATS)),  # fits, the default, first
        microturbulences=(2,),
        nodes=bosz2017_nodes,
        missing=bosz2017_missing,
        path=lambda labels, resolution, file_format, _: bosz2017_path(
            labels, resolution, file_format
        ),
        n_bytes=_bytes_2017,
    ),
    "2024": _Layout(
        base_url=release2024.ARCHIVE,
        resolutions=release2024.RESOLUTIONS,
        formats=("text",),
        microturbulences=release2024.MICROTURBULENCES,
        nodes=bosz2024_nodes,
        missing=lambda labels: False,
        path=_path_2024,
        n_bytes=lambda resolution, _: int(TEXT_GZ_ROW * release2024.SAMPLES_PER_R * resolution),
    ),
}


def plan_fetch(
    release: str,
    ranges: Mapping[str, tuple[float, float]],
    resolution: int,
    file_format: str | None = None,
    microturbulence: float = 2.0,
    base_url: str | None = None,
    crop: tuple[float, float] | None = None,
) -> FetchPlan:
    """List what to download for a box of labels, without touching the network.

    Parameters
    ----------
    release : str
        ``2017`` or ``2024``.
    ranges : mapping of str to (min, max)
        Closed range of each label; a label not named is not limited, except that
        abundance ratios not named are solar.
    resolution : int
        One the release has.
    file_format : str, optional
        2017: ``fits`` (default) or ``ascii``; 2024: ``text``.
    microturbulence : float
        [km/s]
    base_url : str, optional
        A mirror of the archive's folders; the archive itself by default.
    crop : (float, float), optional
        Vacuum range to keep of each file [Å]; the rest is discarded as it arrives.

    Returns
    -------
    plan : FetchPlan

    Raises
    ------
    ConfigError
        If a choice is unknown, or no node lies in the box.
    """
    layout = LAYOUTS[_one_of("release", release, tuple(LAYOUTS))]
    if unknown := set(ranges) - set(NodeLabels._fields):
        raise ConfigError(f"labels {sorted(unknown)} are unknown; BOSZ has {NodeLabels._fields}")
    _one_of("--resolution", resolution, layout.resolutions)
    file_format = _one_of("--format", file_format or layout.formats[0], layout.formats)
    _one_of("--microturbulence", microturbulence, layout.microturbulences)
    box = {"a_m": (0.0, 0.0), "c_m": (0.0, 0.0), **ranges}
    files, never_computed = [], []
    for labels in _nodes_within(box, layout):
        if layout.missing(labels):
            never_computed.append(labels)
            continue
        path = layout.path(labels, resolution, file_format, microturbulence)
        n_bytes = layout.n_bytes(resolution, file_format)
        files.append(PlannedFile(path.rpartition("/")[2], path, labels, n_bytes))
    if not files:
        raise ConfigError(f"no BOSZ {release} model lies in {box}; widen the ranges")
    return FetchPlan(
        release=release,
        base_url=_checked_address(base_url or layout.base_url),
        resolution=resolution,
        file_format=file_format,
        microturbulence=float(microturbulence),
        files=tuple(files),
        never_computed=tuple(never_computed),
        crop=None if crop is None else _checked_range(crop),
    )


def _checked_range(crop: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(end) for end in crop)
    if not ARCHIVE_RANGE[0] <= low < high <= ARCHIVE_RANGE[1]:
        raise ConfigError(
            f"--wave-min {low:g} and --wave-max {high:g}: write a range within "
            f"{ARCHIVE_RANGE[0]:g}..{ARCHIVE_RANGE[1]:g} Angstrom"
        )
    return low, high


def _nodes_within(box: Mapping[str, tuple[float, float]], layout: _Layout) -> Iterator[NodeLabels]:
    teff, logg, *composition = (
        box.get(label, (-math.inf, math.inf)) for label in NodeLabels._fields
    )
    compositions = [
        values
        for values in COMPOSITIONS
        if all(low <= x <= high for x, (low, high) in zip(values, composition, strict=True))
    ]
    for labels in layout.nodes(compositions):
        if teff[0] <= labels.teff <= teff[1] and logg[0] <= labels.logg <= logg[1]:
            yield labels


def _one_of(option: str, value, choices: tuple):
    if value not in choices:
        raise ConfigError(f"{option} {value}: choose one of {', '.join(map(str, choices))}")
    return value


def _checked_address(base_url: str) -> str:
    """Return the address without its last slash.

    Raises
    ------
    ConfigError
        If it is more, or less, than scheme, host, port and path.
    """
    try:
        parts = urlsplit(base_url)
        plain = parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        plain = False
    if not plain or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ConfigError(
            f"--base-url {base_url}: write http:// or https://, a host and a path, like "
            f"{names2017.ARCHIVE}"
        )
    return base_url.rstrip("/")
