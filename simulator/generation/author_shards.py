"""Data sets divided as authors of networks do: training shards, each with a seed of its own."""

from collections.abc import Mapping
from pathlib import Path

from starsmith.data_contract.errors import ConfigError

__all__ = ["author_files", "shard_counts"]


def shard_counts(counts: Mapping[str, int], n_shard: int) -> list[dict[str, int]]:
    """Spectra of each split of each shard's data set; val and test belong to the first.

    The others hold one of either, which is not exported: a data set has all three.
    """
    train = counts["train"]
    if train % n_shard:
        raise ConfigError(
            f"--author-shards {n_shard}: {train} training spectra are not divisible by it; give "
            "--splits train=1e6,val=1e3,test=1e4"
        )
    few = {"train": train // n_shard, "val": 1, "test": 1}
    return [dict(counts) | {"train": train // n_shard}, *[few] * (n_shard - 1)]


def author_files(out: Path, counts: Mapping[str, int], n_shard: int, k: int) -> dict[str, Path]:
    """Files that shard ``k`` is exported to, by split: ``train_200k_0/dataset.h5``."""
    train = f"train_{_short(counts['train'] // n_shard)}_{k}"
    names = {"train": train}
    if k == 0:
        names |= {split: f"{split}_{_short(counts[split])}" for split in ("val", "test")}
    return {split: out / name / "dataset.h5" for split, name in names.items()}


def _short(count: int) -> str:
    """Such as 200k of 200,000."""
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)
