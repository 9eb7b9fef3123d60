"""Repair: what is damaged in a dataset is made again, and nothing else is touched."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.checks.integrity import FileCheck, Finding, check_files, owner_of
from starsmith.data_contract.checks.remade import difference
from starsmith.data_contract.checks.verify import check_contents, verify_dataset
from starsmith.data_contract.dataset.gathered import blamed_shards, column_files, is_recorded
from starsmith.data_contract.dataset.manifest import dataset_files, hash_file, read_manifest
from starsmith.data_contract.dataset.remaker import Remaker
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shards import (
    CARD_FILE,
    RUN_FILE,
    Shard,
    create_skeleton,
    finish_dataset,
    is_skeleton,
    open_run,
    plan_shards,
    write_shard,
)
from starsmith.data_contract.differing_keys import differing_keys
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file, temporary_folder
from starsmith.data_contract.files.interrupts import uninterrupted
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.outside import read_json

__all__ = ["Repair", "recover_run", "repair_dataset"]

PROBED_SHARDS = 4


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was wrong, and what became of it.

    Attributes
    ----------
    findings : list of str
        What was wrong, one sentence each.
    shards : dict of str to bool
        Shard made again -> whether it is to the last bit what was recorded. Otherwise its
        values are those recorded to 1e-6, before rounding.
    headers, removed : list of str
        Files made again that belong to no shard; files removed.
    digest_before, digest : str
        Of the dataset; the first is empty where its manifest was damaged too.
    """

    findings: list[str]
    shards: dict[str, bool]
    headers: list[str]
    removed: list[str]
    digest_before: str
    digest: str


def recover_run(path: Path | str) -> dict:
    """Header of a dataset from whichever of its three copies is intact.

    The manifest's is sealed and believed first; without it ``run.json`` and ``zarr.json`` must
    agree, or one of them be unreadable.

    Raises
    ------
    DataError
        If no copy is left, or two disagree and nothing says which is right.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: no dataset found there")
    try:
        return read_manifest(path).run
    except (FileNotFoundError, DataError):
        copies = list(_header_copies(path))
    if not copies:
        raise DataError(
            f"{path}: manifest.json, run.json and zarr.json are all damaged or missing: nothing "
            "says what this dataset was; generate it again"
        )
    if keys := differing_keys(copies[0], copies[-1]):
        raise DataError(
            f"{path}: run.json and zarr.json differ in {', '.join(keys)}, and there is no intact "
            "manifest.json to say which is right; generate the dataset again"
        )
    return copies[0]


def _header_copies(path: Path) -> Iterator[dict]:
    for file, entries in ((RUN_FILE, ()), ("zarr.json", ("attributes", "header"))):
        try:
            content = read_json(path / file)
            for entry in entries:
                content = content[entry]
            yield content
        except (DataError, LookupError, TypeError):
            continue


def repair_dataset(
    path: Path | str,
    remaker_of: Callable[[dict], Remaker],
    progress: Callable[[int, int], None] | None = None,
    thorough: bool = False,
) -> Repair:
    """Make again what is missing, changed, cut short or not what its key says.

    Parameters
    ----------
    path : path
    remaker_of : callable
        Opens the bank of a dataset, given the dataset's header as JSON.
    progress : callable, optional
        Called with (shards done, shards in all).
    thorough : bool
        Also make intact spectra again and put back those that are not what their keys make:
        hashes that were forged as well do not tell. As slow as writing the dataset.

    Returns
    -------
    repair : Repair

    Raises
    ------
    DataError
        If the header is lost, files lie around that starsmith did not write, or the bank does
        not make what is intact.
    ContractError
        If something is still wrong afterwards.
    """
    path = Path(path)
    run = recover_run(path)
    with writer_lock(path):
        remaker = remaker_of(run)
        files = check_files(path)
        header = _header(path, run, remaker)
        removed = _remove_extra(path, header, files)
        headers = _restore_header(path, header, files)
        findings = [*files.findings, *check_contents(path, files)]
        work = _Work(path, header, remaker, files, thorough)
        bad = work.bad_shards({finding.owner for finding in findings})
        if bad and not remaker.exact:
            work.probe(bad)
        shards = {}
        for shard, names in bad.items():
            with uninterrupted():
                shards[shard.name] = work.rewrite(shard, names)
            if progress:
                progress(len(shards), len(bad))
        digest = finish_dataset(path).digest
    verify_dataset(path).require()
    return Repair(
        findings=_told(findings, bad),
        shards=shards,
        headers=headers,
        removed=removed,
        digest_before=files.manifest.digest if files.manifest else "",
        digest=digest,
    )


def _told(findings: list[Finding], bad: dict[Shard, set[str]]) -> list[str]:
    told = {finding.owner for finding in findings}
    forged = [
        f"shard {shard.name}: {', '.join(sorted(names))} are not what its keys say"
        for shard, names in bad.items()
        if shard.name not in told
    ]
    return [str(finding) for finding in findings] + forged


def _header(path: Path, run: dict, remaker: Remaker) -> DatasetHeader:
    """The header: the stored one where it is intact, else with the bank's arrays."""
    try:
        stored = open_run(path)
        if not differing_keys(stored.run(), run):
            return stored
    except DataError:
        pass
    try:
        return DatasetHeader.from_run(run, remaker.wave, remaker.noise)
    except DataError as problem:
        raise DataError(
            f"{path}: its wavelengths or noise tables are damaged, and the bank's are others "
            f"({problem}); name the bank it was made from with --bank"
        ) from None


def _remove_extra(path: Path, header: DatasetHeader, files: FileCheck) -> list[str]:
    """Remove files in the place of shards that the dataset does not have; refuse others."""
    plan = plan_shards(header.counts, header.shard_rows)
    known = {shard.sidecar for shard in plan}
    known |= {name for shard in plan for name in shard.files(header).values()}
    if not files.manifest:
        known |= {shard.piece for shard in plan}
    extra, foreign = [], []
    for name in dataset_files(path):
        if name in known or is_skeleton(name, header):
            continue
        ours = owner_of(name) != "header" or name.endswith(".partial")
        (extra if ours and (path / name).is_file() else foreign).append(name)
    if foreign:
        raise DataError(
            f"{path}: {foreign[:5]} are not part of the dataset and starsmith did not write them; "
            "move them elsewhere, then repair again"
        )
    for name in extra:
        (path / name).unlink()
    return extra


def _restore_header(path: Path, header: DatasetHeader, files: FileCheck) -> list[str]:
    """Write again the damaged files that belong to no shard; return their names."""
    written = []
    with temporary_folder(path) as fresh:
        create_skeleton(fresh, header)
        for name in dataset_files(fresh):
            if files.manifest:
                intact = files.found.get(name) == files.records.get(name)
            else:
                intact = _same_content(path / name, fresh / name)
            if not intact:
                with staged_file(path / name) as partial:
                    partial.write_bytes((fresh / name).read_bytes())
                written.append(name)
    if files.manifest and files.found.get(CARD_FILE) != files.records.get(CARD_FILE):
        written.append(CARD_FILE)  # written again with the manifest
    return written


def _same_content(file: Path, fresh: Path) -> bool:
    """Whether two files are equal, JSON in whatever order."""
    if not file.exists():
        return False
    if file.suffix != ".json":
        return file.read_bytes() == fresh.read_bytes()
    try:
        return read_json(file) == read_json(fresh)
    except DataError:
        return False


def _scalars(draws: Draws) -> dict[str, np.ndarray]:
    """What keys decide without a bank."""
    return draws.columns | {"index": draws.index}


@dataclass(frozen=True)
class _Work:
    """The shards of a dataset, what they should be and who can make them."""

    path: Path
    header: DatasetHeader
    remaker: Remaker
    files: FileCheck
    thorough: bool

    def bad_shards(self, named: set[str]) -> dict[Shard, set[str]]:
        """Shards to be made again, and the columns that are wrong in them."""
        bad = {}
        for shard in plan_shards(self.header.counts, self.header.shard_rows):
            wrong = self._changed(shard)
            sidecar_lost = shard.sidecar in self.files.damaged
            forged = self._forged(shard, set(self.header.columns) - wrong)
            if shard.name in named and not (wrong or sidecar_lost or forged):
                forged = set(self.header.columns)  # its values break the schema
            if wrong or forged or sidecar_lost:
                bad[shard] = wrong | forged
        return bad

    def _changed(self, shard: Shard) -> set[str]:
        """Columns that are not as they were recorded."""
        changed = {
            name
            for name, file in shard.files(self.header).items()
            if file not in self.files.records
            or self.files.found.get(file) != self.files.records[file]
        }
        return {name for name in changed if self._is_to_blame(shard, name)}

    def _is_to_blame(self, shard: Shard, name: str) -> bool:
        """Whether it is this shard's part of a changed file that was changed."""
        if name not in self.header.gathered:
            return True
        file = shard.files(self.header)[name]
        if file not in self.files.records:
            return not is_recorded(self.path, self.header, shard, name)
        shards = column_files(self.header)[file]
        return shard in blamed_shards(self.path, self.header, file, shards)

    def _forged(self, shard: Shard, names: set[str]) -> set[str]:
        """Intact columns whose values are not those of the shard's keys."""
        if self.thorough:
            expected = self.remaker.columns(self.header, shard)
        else:
            expected = _scalars(self.remaker.draws(self.header, shard))
        return {
            name
            for name in names & set(expected)
            if difference(self.path, self.header, shard, name, expected) is not None
        }

    def probe(self, bad: Mapping[Shard, set[str]]) -> None:
        """Refuse a bank that is not the recorded one unless it makes intact shards again."""
        plan = plan_shards(self.header.counts, self.header.shard_rows)
        intact = [shard for shard in plan if shard not in bad][:PROBED_SHARDS]
        if not intact:
            raise DataError(
                f"{self.path}: no shard is intact to prove that another bank than the recorded "
                "one will do; name the one it was made from with --bank"
            )
        for shard in intact:
            self._compare(shard, set(self.header.columns))

    def rewrite(self, shard: Shard, names: set[str]) -> bool:
        """Make a shard again; return whether its files have the recorded bits."""
        made = self._compare(shard, set(self.header.columns) - names)
        write_shard(self.path, self.header, shard, made, only=names)
        files = [shard.sidecar, *shard.own_files(self.header)]
        records = {n: self.files.records[n] for n in files if n in self.files.records}
        return all(hash_file(self.path / n, known) == known for n, known in records.items())

    def _compare(self, shard: Shard, names: set[str]) -> Mapping[str, np.ndarray]:
        """Make a shard and hold it against its intact columns."""
        made = self.remaker.columns(self.header, shard)
        found = {
            name: difference(self.path, self.header, shard, name, made) for name in sorted(names)
        }
        if differing := {name: value for name, value in found.items() if value is not None}:
            text = ", ".join(f"{name} by {value:.2g}" for name, value in differing.items())
            raise DataError(
                f"{self.path}: shard {shard.name} made again differs from what is intact of it "
                f"({text}): not the bank or the software it was made with; the shard was left alone"
            )
        return made
