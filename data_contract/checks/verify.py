"""Verification: every byte and every promise of a dataset, all violations at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import read_noise
from starsmith.data_contract.checks.integrity import FileCheck, Finding, check_files
from starsmith.data_contract.dataset.gathered import read_column
from starsmith.data_contract.dataset.manifest import Manifest, content_digest
from starsmith.data_contract.dataset.precision import STEPS_PER_SIGMA
from starsmith.data_contract.dataset.schema import (
    DATASET_SCHEMA,
    DATASET_VERSIONS,
    Column,
    DatasetHeader,
)
from starsmith.data_contract.dataset.shards import RUN_FILE, Shard, open_run, plan_shards
from starsmith.data_contract.dataset.split import read_draws
from starsmith.data_contract.dataset.split_columns import (
    INFINITE,
    check_column,
    open_column,
    read_rows,
    row_blocks,
)
from starsmith.data_contract.dataset.stored_spectra import as_stored
from starsmith.data_contract.differing_keys import differing_keys
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.files.zarr_groups import open_group
from starsmith.data_contract.in_threads import in_threads
from starsmith.data_contract.kernels.rounding import FLOAT32_MANTISSA_BITS, bits_used
from starsmith.data_contract.noise.view import signal_to_noise
from starsmith.data_contract.quantities import CONDITIONS, UNITS
from starsmith.data_contract.random import DrawKey

__all__ = ["Report", "check_contents", "fingerprint_blocks", "fingerprints", "verify_dataset"]

READ_ROWS = 256  # of spectra decoded at a time: memory that is used again
SNR_ROWS = 16  # of each shard
SNR_TOLERANCE = 1e-3  # relative; S/N is float32 arithmetic that machines may order differently


@dataclass(frozen=True)
class Report:
    """Outcome of a verification.

    Attributes
    ----------
    path : Path
    findings : list of Finding
        Each names the shard or file; empty if all is well.
    n_files, n_bytes : int
        Files read and their size.
    has_digest : bool
        False of files that are older than digests: that they are readable is all that is known.
    """

    path: Path
    findings: list[Finding]
    n_files: int
    n_bytes: int
    has_digest: bool = True

    @property
    def problems(self) -> list[str]:
        """The findings as one sentence each."""
        return [str(finding) for finding in self.findings]

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.findings

    def require(self) -> None:
        """Raise ContractError unless all is well."""
        if problems := self.problems:
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise ContractError(f"{self.path}: {'; '.join(problems[:5])}{more}")


def verify_dataset(path: Path | str) -> Report:
    """Check a dataset against its manifest and its header.

    Files are hashed first; values are checked wherever the files that hold them are intact.

    Parameters
    ----------
    path : path

    Returns
    -------
    report : Report

    Raises
    ------
    DataError
        If ``path`` is not a folder at all.

    Examples
    --------
    >>> starsmith.verify_dataset("data.zarr").problems
    []
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: no dataset found there")
    files = check_files(path)
    findings = [*files.findings, *check_contents(path, files)]
    return Report(path, findings, len(files.found), files.n_bytes)


def check_contents(path: Path, files: FileCheck) -> list[Finding]:
    """Check the header, arrays and values of a dataset wherever their files are intact."""
    findings = []
    try:
        header = open_run(path)
    except DataError as problem:
        findings.append(Finding("header", str(problem)))
        header = _header_of_noise(path)
    try:
        if header is not None:
            attrs = open_group(path, DATASET_SCHEMA, DATASET_VERSIONS).attrs
            if keys := differing_keys(attrs.get("header"), header.run()):
                text = f"zarr.json and run.json differ in {', '.join(keys)}"
                findings.append(Finding("header", text))
            findings += _content_problems(path, header, files.manifest, files.damaged)
    except DataError as problem:
        findings.append(Finding("header", str(problem)))
    return findings


def _header_of_noise(path: Path) -> DatasetHeader | None:
    """The header with the wavelengths of the noise tables, so that values are checked as well."""
    try:
        noise = read_noise(open_group(path, DATASET_SCHEMA, DATASET_VERSIONS))
        return DatasetHeader.from_run(read_json(path / RUN_FILE), noise.wave, noise)
    except (DataError, LookupError, TypeError, ValueError, ArithmeticError):
        return None


def _content_problems(
    path: Path, header: DatasetHeader, manifest: Manifest | None, damaged: set[str]
) -> Iterator[Finding]:
    """Check arrays and values wherever their files are intact."""
    if manifest and (keys := differing_keys(manifest.run, header.run())):
        yield Finding("header", f"run.json and manifest.json differ in {', '.join(keys)}")
    whole = []
    for split in header.counts:
        yield from _wave_problems(path, split, header)
        usable = []
        for column in header.columns.values():
            if text := _array_problem(path, split, column, header):
                damaged.add(f"{split}/{column.name}/zarr.json")
                yield Finding("header", text)
            else:
                usable.append(column)
        findings = list(_value_problems(path, split, header, usable, damaged))
        yield from findings
        if not any(name.startswith(f"{split}/") for name in damaged) and all(
            finding.owner for finding in findings
        ):
            whole.append(split)
            if manifest and content_digest(path, split, header) != manifest.content.get(split):
                text = f"split {split}: decoded keys and labels differ from the manifest's"
                yield Finding("", text)
    yield from (Finding("", text) for text in _duplicate_problems(path, header, whole))


def _wave_problems(path: Path, split: str, header: DatasetHeader) -> Iterator[Finding]:
    """Check the copy of the wavelengths beside a split."""
    if header.schema_version == 1:
        return
    try:
        if not np.array_equal(read_rows(open_column(path, split, "wave")), header.wave):
            yield Finding("header", f"{split}/wave is not the wavelength grid of the dataset")
    except DataError as problem:
        yield Finding("header", str(problem))


def _array_problem(path: Path, split: str, column: Column, header: DatasetHeader) -> str:
    """Name the first way an array's metadata differs from the schema; empty if none."""
    try:
        array = open_column(path, split, column.name)
        check_column(path, split, column, header)
    except DataError as problem:
        return str(problem)
    expected = {
        "dimension names": (array.dims, column.dims),
        "units": (array.attributes.get("units"), UNITS[column.name]),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            return f"array {split}/{column.name}: {what} {found}, expected {wanted}"
    return ""


def _value_problems(
    path: Path, split: str, header: DatasetHeader, columns: list[Column], damaged: set[str]
) -> Iterator[Finding]:
    unwritten = 0
    names = [column.name for column in columns]
    plan = plan_shards({split: header.counts[split]}, header.shard_rows)
    looked_at = in_threads(lambda shard: _read_shard(path, header, shard, names, damaged), plan)
    for shard, found in zip(plan, looked_at, strict=True):
        if found is None:
            unwritten += 1
            continue
        texts, few = found
        if len(few) == len(header.columns):  # kernels of the noise are for one thread
            texts += _recomputed_problems(header, shard, few)
        yield from (Finding(shard.name, text) for text in texts)
    if unwritten:
        yield Finding("", f"split {split}: {unwritten} shard(s) are not written yet")


def _read_shard(
    path: Path, header: DatasetHeader, shard: Shard, names: list[str], damaged: set[str]
) -> tuple[list[str], dict[str, np.ndarray]] | None:
    """What is wrong with the intact columns of a shard, and some rows of them; None without any."""
    files = {name: shard.files(header)[name] for name in names}
    lost = _unrecorded_losses(path, header, shard, files, damaged)
    if len(lost) == len(files):
        return None
    if lost:
        return [f"is not complete: {', '.join(lost)} missing"], {}
    texts, few = {}, {}
    for name in (name for name, file in files.items() if file not in damaged):
        try:
            at_once = READ_ROWS if len(header.columns[name].dims) > 1 else None
            for values in read_column(path, header, shard, name, at_once):
                texts |= dict.fromkeys(_column_problems(header, shard, name, values))
                few.setdefault(name, values[:SNR_ROWS].copy())
        except DataError as problem:
            return [*texts, str(problem)], {}
    return [*texts], few


def _unrecorded_losses(
    path: Path, header: DatasetHeader, shard: Shard, files: dict[str, str], damaged: set[str]
) -> list[str]:
    """Files that are not there though no record said that they were: not written yet."""
    in_piece = header.gathered if (path / shard.piece).exists() else ()
    return [
        file
        for name, file in files.items()
        if file not in damaged and name not in in_piece and not (path / file).exists()
    ]


def _column_problems(
    header: DatasetHeader, shard: Shard, name: str, value: np.ndarray
) -> Iterator[str]:
    """What breaks the schema in some rows of a column, or in all of them."""
    if value.dtype == np.float32:
        used, largest = bits_used(value.view(np.uint32).ravel())
        if largest >= INFINITE:
            yield f"{name} holds NaN or infinity"
            return
        if name == "error" and value.min() <= 0:
            yield "error is not positive everywhere"
        if used & ((1 << (FLOAT32_MANTISSA_BITS - header.kept_bits(name))) - 1):
            yield f"{name} is not rounded to the declared {header.kept_bits(name)} bits"
        return
    if not header.columns[name].may_lack and not np.isfinite(value).all():
        yield f"{name} holds NaN or infinity"
        return
    low, high = header.prior.get(name, (-np.inf, np.inf))
    declared = name in header.prior  # masks have no range, and are most of the numbers
    if declared and (outside := int(((value < low) | (value > high)).sum())):
        span = f"{value.min():g}..{value.max():g}"
        yield f"{name} {span} leaves the declared {low:g}..{high:g} in {outside} row(s)"
    if name == "index" and not np.array_equal(value, np.arange(shard.start, shard.stop)):
        yield f"index does not run from {shard.start} to {shard.stop - 1}"


def _recomputed_problems(
    header: DatasetHeader, shard: Shard, values: dict[str, np.ndarray]
) -> Iterator[str]:
    """What conditions and noise tables tell of some spectra: steps of their flux, and their S/N."""
    fluxes = [name for name in values if header.in_steps(name)]
    try:
        for name in fluxes:
            if not np.array_equal(as_stored(header, shard.split, name, values), values[name]):
                yield f"{name} is not in the declared steps of its noise"
                return
        if "flux_model" not in values:
            return
        conditions = np.stack([values[name] for name in CONDITIONS], axis=1)
        key = DrawKey(header.seed, shard.split, values["index"])
        flux_model = values["flux_model"]
        found = signal_to_noise(header.noise, flux_model, conditions, header.noise_terms, key)
    except DataError as problem:
        yield str(problem)
        return
    # half a step moves no pixel's S/N by more, so no median of them
    moved = 0.5 / STEPS_PER_SIGMA["noiseless"] if fluxes else 1e-8
    for name in sorted(found.keys() & values.keys()):
        if not np.allclose(found[name], values[name], rtol=SNR_TOLERANCE, atol=moved):
            yield f"{name} is not that of flux_model and its noise tables"
            return  # one cause, one finding


def fingerprints(path: Path, split: str, header: DatasetHeader) -> np.ndarray:
    """A 64-bit number per star and sky, or per observed star.

    Collisions of a million rows are one in 10^7.
    """
    return np.concatenate(list(fingerprint_blocks(path, split, header)))


def fingerprint_blocks(path: Path, split: str, header: DatasetHeader) -> Iterator[np.ndarray]:
    """`fingerprints` of about a million rows at a time, uint64 (n_row,)."""
    for rows in row_blocks(header.counts[split], header.shard_rows):
        if header.store == "observed":  # a star is known by its name, and two may look alike
            names = read_rows(open_column(path, split, "source_id"), rows)
            yield names.view(np.uint64)
            continue
        columns = [*read_draws(path, split, header, rows).columns.values()]
        weights = np.random.default_rng(0).integers(0, 2**63, len(columns), dtype=np.uint64)
        yield sum(x.view(np.uint64) * (2 * w + 1) for x, w in zip(columns, weights, strict=True))


def _duplicate_problems(path: Path, header: DatasetHeader, splits: list[str]) -> Iterator[str]:
    """Spectra that splits have in common; the largest split is read a block at a time."""
    if len(splits) < 2:
        return
    largest = max(splits, key=lambda split: header.counts[split])
    rest = {split: fingerprints(path, split, header) for split in splits if split != largest}
    shared = {split: np.zeros(prints.size, dtype=bool) for split, prints in rest.items()}
    seen: set[int] = set()
    for block in fingerprint_blocks(path, largest, header):
        block.sort()
        seen.update((int(block[0]), int(block[-1])))
        for split, prints in rest.items():
            nearest = np.minimum(np.searchsorted(block, prints), block.size - 1)
            shared[split] |= block[nearest] == prints
    alike = [prints.size > 1 and (prints == prints[0]).all() for prints in rest.values()]
    if any(alike) or (len(seen) == 1 and header.counts[largest] > 1):
        return  # every draw alike on purpose: nothing varies
    for k, first in enumerate(splits):
        for second in splits[k + 1 :]:
            if largest in (first, second):
                n = int(shared[first if second == largest else second].sum())
            else:
                n = int(np.isin(rest[second], rest[first]).sum())
            if n:
                yield f"splits {first} and {second} share {n} spectra"
