"""The demonstration grid: our own LTE synthesis on label nodes, never to be taken for BOSZ."""

import hashlib
import io
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile, mkdtemp

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.outside import read_file
from starsmith.data_contract.files.user_cache import cache_folder, shared_until_whole
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.quantities import LABELS, named
from starsmith.data_contract.structure_validity import validity_map
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, table_digest
from starsmith.simulator.synthesis.structures import has_structure
from starsmith.simulator.synthesis.synthesis_tables import wide_digest

__all__ = [
    "DEMO_NOTICE",
    "build_demo_grid",
    "demo_axes",
    "demo_cache_key",
    "planned_demo_grid",
    "structure_classes",
]

DEMO_NOTICE = "DEMO GRID (own LTE synthesis, not BOSZ): not for science"
CITATION = (
    "Structures: ATLAS9 models of Kurucz (1993, CD-ROM 13), see Castelli & Kurucz (2003); "
    "opacities, equation of state and lines as cited in docs/physics_synthesis.md"
)

# closer where spectra bend, by TiO in cool and by strong lines in metal-rich stars, in steps that
# only grow or only shrink, below 5000 K and -0.2; what interpolation does is in demo_maps.json
TEFF_NODES = (3500, 3570, 3655, 3750, 3850, 3950, 4075, 4200, 4325, 4475, 4625, 4800)  # [K]
M_H_NODES = (-2.75, -2.4, -2.05, -1.7, -1.4, -1.1, -0.85, -0.6, -0.4)
COOL = 4000.0  # below, ATLAS9 structures of 1993 lack molecules [K]
MOST_BLOCK = 2**28  # bytes of one block's file
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # its multiples spread over 0..1, modulo 1
DIGEST_BYTES = 32  # SHA-256 of the rest, at its end

logger = logging.getLogger(__name__)


def _nodes(first: float, last: float, step: float) -> np.ndarray:
    return np.linspace(first, last, round((last - first) / step) + 1)


def demo_axes(box: str = "3d") -> dict[str, np.ndarray]:
    """Label nodes of a named box.

    ``3d`` (3,648 nodes, the default grid; closer in cool and in metal-rich stars),
    ``5d`` (7,056 nodes, coarser, with [α/M] and [C/M]) or ``small`` (64 nodes, for trials).
    """
    boxes = {
        "3d": {
            "teff": np.array([*TEFF_NODES, *_nodes(5000, 6500, 250)]),
            "logg": _nodes(0.0, 5.5, 0.5),
            "m_h": np.array([*M_H_NODES, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        },
        "5d": {
            "teff": _nodes(3500, 6500, 500),
            "logg": _nodes(0.0, 5.5, 0.5),
            "m_h": np.linspace(-2.75, 0.75, 7),
            "a_m": _nodes(-0.25, 0.5, 0.25),
            "c_m": _nodes(-0.5, 0.5, 0.5),
        },
        "small": {
            "teff": _nodes(4000, 5500, 500),
            "logg": _nodes(1.0, 4.0, 1.0),
            "m_h": _nodes(-1.5, 0.0, 0.5),
        },
    }
    if box not in boxes:
        raise GridError(f"demo grid: no box {box!r}; choose one of {', '.join(boxes)} or give axes")
    return boxes[box]


def structure_classes(axes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Letter of `validity.CLASSES` of each node, of the axes' shape in the order of `LABELS`.

    ``x`` where no ATLAS9 structures surround it (log g 5.5, the lowest log g above 6000 K,
    metal-poor dwarfs of 3500 K), ``c`` below 4000 K, else ``m``.
    """
    names = [name for name in LABELS if name in axes]
    found = np.empty([len(axes[name]) for name in names], dtype="<U1")
    for place in np.ndindex(found.shape):
        labels = {name: float(axes[name][i]) for name, i in zip(names, place, strict=True)}
        known = has_structure(labels["teff"], labels["logg"], labels.get("m_h", 0.0))
        found[place] = ("c" if labels["teff"] < COOL else "m") if known else "x"
    return found


def demo_cache_key(
    axes: Mapping[str, np.ndarray] | None = None, sampling: Sampling | None = None
) -> str:
    """Hash of what decides the grid's numbers: nodes, sampling, tables, physics version."""
    sampling = sampling or Sampling()
    parts = {
        "axes": {name: list(map(float, nodes)) for name, nodes in (axes or demo_axes()).items()},
        "sampling": asdict(sampling),
        "tables": table_digest(),
        **({"wide": wide_digest()} if sampling.is_wide else {}),
        "physics": PHYSICS_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Block:
    """Nodes that share all labels but log g, computed together and kept in one file."""

    labels: tuple[dict[str, float], ...]
    position: tuple[int, ...]  # index along every axis but logg
    path: Path


def build_demo_grid(
    box: str = "3d",
    axes: Mapping[str, np.ndarray] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache_dir: Path | str | None = None,
    sampling: Sampling | None = None,
) -> GridData:
    """Synthesize the demonstration grid.

    Parameters
    ----------
    box : str
        A box of `demo_axes`; ignored when ``axes`` is given.
    axes : mapping of str to float64 array, optional
        Nodes of ``teff`` and ``logg`` and any other labels; absent labels are solar, absent
        ``vturb`` is what is usual for a star's labels.
    workers : int, optional
        Processes; by default one per available core. The result does not depend on it.
    progress : callable, optional
        Called with (nodes done, nodes in all).
    cache_dir : path, optional
        Where finished nodes are kept until the grid is whole, so that an interrupted build resumes
        and processes that build the same grid share the work; by default in the user's cache.
    sampling : Sampling, optional
        640-900 nm at R = 20,000 by default.

    Returns
    -------
    GridData
        Name ``demo``, every node valid.
    """
    axes = {k: np.asarray(v, dtype=np.float64) for k, v in (axes or demo_axes(box)).items()}
    sampling = sampling or Sampling()
    _check_axes(axes, sampling)
    folder = Path(cache_dir or cache_folder() / "nodes") / demo_cache_key(axes, sampling)
    folder = folder if _is_writable(folder) else Path(mkdtemp(prefix="starsmith-nodes-"))
    blocks = list(_blocks(axes, folder))
    n_total = sum(len(block.labels) for block in blocks)
    n_done = 0
    with shared_until_whole(folder):
        for block in _finished(blocks, sampling, workers):
            n_done += len(block.labels)
            if progress is not None:
                progress(n_done, n_total)
        return _assemble(axes, blocks, sampling)


def _check_axes(axes: Mapping[str, np.ndarray], sampling: Sampling) -> None:
    unknown = [name for name in axes if name not in LABELS]
    if unknown or "teff" not in axes or "logg" not in axes:
        raise GridError(
            f"demo grid axes {list(axes)}: teff and logg are needed, others must be among {LABELS}"
        )
    for name, nodes in axes.items():
        low, high = named(name).limits
        if nodes.ndim != 1 or not nodes.size or np.any(np.diff(nodes) <= 0.0):
            raise GridError(f"demo grid axis {name} {nodes.tolist()}: nodes must increase")
        if not low <= nodes[0] <= nodes[-1] <= high:
            raise GridError(f"demo grid axis {name} {nodes.tolist()}: not within {low:g}..{high:g}")
    if "vturb" in axes and sampling.microturbulence is not None:
        raise GridError("a microturbulence for all stars, and an axis of it: give one of the two")


def _blocks(axes: Mapping[str, np.ndarray], folder: Path) -> Iterator[_Block]:
    """Blocks ordered by composition, so that a worker reuses its opacity table."""
    others = [name for name in LABELS if name in axes and name != "logg"]
    order = [name for name in others if name != "teff"] + ["teff"]
    for chosen in product(*(range(axes[name].size) for name in order)):
        index = dict(zip(order, chosen, strict=True))
        fixed = {name: float(axes[name][i]) for name, i in index.items()}
        yield _Block(
            labels=tuple(fixed | {"logg": float(logg)} for logg in axes["logg"]),
            position=tuple(index[name] for name in others),
            path=folder / ("-".join(map(str, chosen)) + ".npy"),
        )


def _finished(blocks: list[_Block], sampling: Sampling, workers: int | None) -> Iterator[_Block]:
    """Yield blocks as their files come to exist: those found first, then those computed."""
    found = [block for block in blocks if _read_block(block) is not None]
    missing = [block for block in blocks if block not in found]
    yield from found
    first = int(os.getpid() * GOLDEN % 1.0 * len(missing))
    missing = [*missing[first:], *missing[:first]]  # processes begin far from one another
    workers = workers or _available_cores()
    if workers > 1 and len(missing) > 1:
        try:
            yield from _compute_in_parallel(missing, sampling, workers)
        except BrokenProcessPool:
            logger.warning("worker processes could not start; synthesizing in this process")
    for block in missing:
        if _read_block(block) is None:
            _compute_block(block, sampling)
            yield block


def _compute_in_parallel(
    missing: list[_Block], sampling: Sampling, workers: int
) -> Iterator[_Block]:
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        try:
            for some in (missing[:1], missing[1:]):  # kernels compile in one process, for all
                futures = {pool.submit(_compute_block, block, sampling): block for block in some}
                for future in as_completed(futures):
                    future.result()
                    yield futures[future]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _available_cores() -> int:
    """Cores this process may use; platforms without affinities count them all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _one_thread() -> None:
    """Leave the other cores to the other workers."""
    import numba

    numba.set_num_threads(1)


def _compute_block(block: _Block, sampling: Sampling) -> None:
    """Synthesize a block's nodes and write flux and continuum, float32 (2, n_logg, n_wave).

    One that another process has written meanwhile is left as it is.
    """
    if _read_block(block) is not None:
        return
    from starsmith.simulator.synthesis import synthesize

    spectra = [synthesize(**labels, sampling=sampling) for labels in block.labels]
    values = np.array([[s.flux for s in spectra], [s.continuum for s in spectra]], dtype=np.float32)
    block.path.parent.mkdir(parents=True, exist_ok=True)
    partial = block.path.with_suffix(f".{os.getpid()}.partial")
    content = io.BytesIO()
    np.save(content, values)
    digest = hashlib.sha256(content.getvalue()).digest()
    partial.write_bytes(content.getvalue() + digest)
    partial.replace(block.path)


def _read_block(block: _Block) -> np.ndarray | None:
    """A block's values; None where they are missing, or not those that were written."""
    try:
        content = read_file(block.path, MOST_BLOCK)
    except OSError:
        return None
    stored, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(stored).digest() != digest:
        return None
    return np.load(io.BytesIO(stored), allow_pickle=False)


def _load_block(block: _Block, sampling: Sampling) -> np.ndarray:
    """A block's values; another process that built the same grid may have cleared them away."""
    while (values := _read_block(block)) is None:
        if block.path.is_dir():
            rmtree(block.path)
        _compute_block(block, sampling)
    return values


def _is_writable(folder: Path) -> bool:
    """Whether files can be written in a folder, which is made for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return True
    except OSError as problem:
        logger.info("%s cannot be written (%s)", folder, problem)
        return False


def _assemble(axes: Mapping[str, np.ndarray], blocks: list[_Block], sampling: Sampling) -> GridData:
    """Gather the blocks' files into one grid."""
    planned = planned_demo_grid(axes, sampling)
    flux, continuum = (np.empty(planned.flux.shape, dtype=np.float32) for _ in range(2))
    logg = planned.label_names.index("logg")
    for block in blocks:
        place: tuple = (*block.position[:logg], slice(None), *block.position[logg:])
        flux[place], continuum[place] = _load_block(block, sampling)
    return replace(planned, flux=flux, continuum=continuum)


def planned_demo_grid(
    axes: Mapping[str, np.ndarray] | None = None, sampling: Sampling | None = None
) -> GridData:
    """What a build will give, before it is built: every flux is zero and takes no memory."""
    from starsmith.simulator.synthesis import wavelength_grid

    axes, sampling = axes or demo_axes(), sampling or Sampling()
    names = [name for name in LABELS if name in axes]
    wave = wavelength_grid(sampling)
    shape = tuple(axes[name].size for name in names)
    flux = continuum = np.broadcast_to(np.float32(0.0), (*shape, wave.size))
    return GridData(
        name="demo",
        axes={name: axes[name] for name in names},
        wave=wave,
        flux=flux,
        continuum=continuum,
        resolution=sampling.resolution,
        valid=np.ones(shape, dtype=bool),
        provenance={
            "release": f"physics version {PHYSICS_VERSION}",
            "source": "starsmith.simulator.synthesis",
            "citation": CITATION,
            "licence": "MIT",
            "tables_sha256": table_digest(),
            "sampling": asdict(sampling),
            "validity": validity_map({name: axes[name] for name in names}, structure_classes(axes)),
        },
        notice=DEMO_NOTICE,
    )
