"""The shards a dataset is divided into, and the names of their files."""

from collections.abc import Mapping
from dataclasses import dataclass

from starsmith.data_contract.dataset.schema import SHARD_ROWS, DatasetHeader
from starsmith.data_contract.dataset.split_columns import chunk_file
from starsmith.data_contract.quantities import SPLITS

__all__ = ["SIDECARS", "Shard", "gathered_rows", "plan_shards"]

SIDECARS = "shards"
GATHERED_SHARDS = 64  # whose numbers per star share a file


@dataclass(frozen=True)
class Shard:
    """Rows ``start`` to ``stop`` of a split, written by one worker in one go."""

    split: str
    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Such as ``train-00003``."""
        return f"{self.split}-{self.number:05d}"

    @property
    def sidecar(self) -> str:
        """File that says the shard is complete, relative to the dataset."""
        return f"{SIDECARS}/{self.name}.json"

    @property
    def piece(self) -> str:
        """File of the shard's numbers per star, until those of many shards are gathered."""
        return f"{SIDECARS}/{self.name}.columns"

    def group(self, header: DatasetHeader) -> int:
        """Number of the files that hold its gathered columns."""
        return self.start // header.column_rows if header.column_rows else self.number

    def files(self, header: DatasetHeader) -> dict[str, str]:
        """Column -> file of the finished dataset that holds the shard's part, relative to it."""
        numbers = dict.fromkeys(header.gathered, self.group(header))
        return {
            name: chunk_file(self.split, column, numbers.get(name, self.number))
            for name, column in header.columns.items()
        }

    def own_files(self, header: DatasetHeader) -> list[str]:
        """Files that hold this shard and no other."""
        return [file for name, file in self.files(header).items() if name not in header.gathered]


def plan_shards(counts: Mapping[str, int], rows: int = SHARD_ROWS) -> tuple[Shard, ...]:
    """Divide every split into shards of ``rows`` spectra; the last may be shorter."""
    return tuple(
        Shard(split, number, start, min(start + rows, counts[split]))
        for split in SPLITS
        if split in counts
        for number, start in enumerate(range(0, counts[split], rows))
    )


def gathered_rows(counts: Mapping[str, int], rows: int = SHARD_ROWS) -> int:
    """Rows in a file of a gathered column: those of 64 shards, or of the largest split."""
    return rows * max(1, min(GATHERED_SHARDS, -(-max(counts.values(), default=1) // rows)))
