"""Leakage between datasets: spectra that one was fitted to and another is judged by."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path

from starsmith.data_contract.checks.identity_sets import (
    Identities,
    KeyRange,
    kept_or_spilled,
    n_shared,
)
from starsmith.data_contract.checks.summary import identify
from starsmith.data_contract.checks.verify import fingerprint_blocks
from starsmith.data_contract.dataset.schema import NO_INDEX
from starsmith.data_contract.dataset.shards import open_run
from starsmith.data_contract.dataset.split_columns import open_column, read_rows
from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.exchange.published import HEADER, open_published, read_published
from starsmith.data_contract.files.hdf5_check import hdf5_text
from starsmith.data_contract.quantities import SPLITS
from starsmith.data_contract.tables.identifiers import IDENTIFIERS, identities_of
from starsmith.data_contract.tables.user_table import is_readable, read_table

__all__ = ["IDENTIFIERS", "Shared", "find_shared", "require_apart"]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Spectra that two splits of different files have in common.

    Attributes
    ----------
    first, second : str
        File and split, such as ``data.zarr train``.
    by : str
        ``draw key``, ``star and sky``, or the name of the identifier.
    n_spec : int
    leak : bool
        Whether one of the two is a test split and the other is not; a table without splits is
        whatever it is used for.
    """

    first: str
    second: str
    by: str
    n_spec: int
    leak: bool

    def __str__(self) -> str:
        return f"{self.first} and {self.second} share {self.n_spec} spectra by {self.by}"


@dataclass(frozen=True, kw_only=True)
class _Members:
    """Who is in one split of one file: name of an identity -> its values."""

    name: str
    role: str  # a split, or "" where there is none
    identities: dict[str, Identities] = field(default_factory=dict)


def find_shared(paths: Sequence[Path | str]) -> list[Shared]:
    """Look for spectra that files have in common, by draw key, content and identifier.

    Parameters
    ----------
    paths : sequence of path
        Two or more: datasets, files in the published layout, tables (ECSV, CSV, FITS) with a
        column of `IDENTIFIERS`.

    Returns
    -------
    shared : list of Shared
        Leaks first.

    Raises
    ------
    DataError
        If a file is none of these, or two have no identity to compare.
    """
    rosters = [list(_members(Path(path))) for path in paths]
    shared = []
    for first, second in combinations(rosters, 2):
        comparable = False
        for one, other in product(first, second):
            for by in set(one.identities) & set(other.identities):
                comparable = True
                n_spec = n_shared(one.identities[by], other.identities[by])
                if n_spec:
                    shared.append(_shared(one, other, by.split(" of ")[0], n_spec))
        if not comparable and not _of_other_seeds(first, second):
            raise DataError(
                f"{first[0].name} and {second[0].name} have no identity in common: "
                f"{sorted(first[0].identities)} against {sorted(second[0].identities)}"
            )
    return sorted(shared, key=lambda entry: not entry.leak)


def _shared(one: _Members, other: _Members, by: str, n_spec: int) -> Shared:
    roles = {one.role, other.role}
    leak = "" in roles or (len(roles) > 1 and "test" in roles)
    return Shared(first=one.name, second=other.name, by=by, n_spec=n_spec, leak=leak)


def _of_other_seeds(first: list[_Members], second: list[_Members]) -> bool:
    """Whether both are drawn by key: different seeds share nothing, and that is an answer."""
    return all(
        any(by.startswith("draw key") for by in members[0].identities)
        for members in (first, second)
    )


def _members(path: Path) -> Iterator[_Members]:
    if is_readable(path):
        yield _of_table(path)
    elif (kind := identify(path)) == "dataset":
        yield from _of_dataset(path)
    elif kind == "published":
        yield _of_published(path)
    else:
        raise DataError(f"{path}: a {kind} holds no spectra to compare")


def _of_dataset(path: Path) -> Iterator[_Members]:
    header = open_run(path)
    for split, count in header.counts.items():
        if header.store == "observed":
            names = {n: read_rows(open_column(path, split, n)) for n in ("source_id", "targetid")}
            known = {n: v[v != NO_INDEX].astype(str) for n, v in names.items()}
            identities = {n: v for n, v in known.items() if v.size}
            yield _Members(name=f"{path} {split}", role=split, identities=identities)
            continue
        yield _Members(
            name=f"{path} {split}",
            role=split,
            identities={
                f"draw key of seed {header.seed}": KeyRange(SPLITS[split] * 2**32, count),
                "star and sky": kept_or_spilled(fingerprint_blocks(path, split, header), count),
            },
        )


def _of_published(path: Path) -> _Members:
    """Ours are known by draw key, others' by their identifiers; the file name is the split."""
    role = path.stem if path.stem in SPLITS else ""
    with open_published(path) as root:
        seed = int(json.loads(hdf5_text(root, HEADER))["seed"]) if HEADER in root else None
    params = read_published(path).params
    if seed is None:
        return _Members(name=str(path), role=role, identities=identities_of(path, params))
    return _Members(
        name=str(path), role=role, identities={f"draw key of seed {seed}": params["targetid"]}
    )


def _of_table(path: Path) -> _Members:
    columns = read_table(path, error=DataError).columns
    return _Members(name=str(path), role="", identities=identities_of(path, columns))


def require_apart(shared: Sequence[Shared]) -> None:
    """Raise LeakError where a test split has spectra of another split."""
    leaks = [entry for entry in shared if entry.leak]
    if leaks:
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        raise LeakError(f"{leaks[0]}{more}; leave them out of training, or draw another seed")
