"""Data sets larger than the memory: finished, carded and verified a block of rows at a time."""

import numpy as np
import pytest

from starsmith.data_contract.checks.verify import fingerprints, verify_dataset
from starsmith.data_contract.dataset import split_columns as columns
from starsmith.data_contract.dataset.card import card_contents
from starsmith.data_contract.dataset.manifest import content_digest, read_manifest
from starsmith.data_contract.dataset.shards import (
    finish_dataset,
    open_run,
    plan_shards,
    write_shard,
)
from tests.data_contract.example import make_columns


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of one shard, 32 rows: four of the train split and two of the others."""
    monkeypatch.setattr(columns, "BLOCK_ROWS", 1)


def test_blocks_are_whole_shards_and_cover_every_row():
    """Of about a million rows, so that a billion spectra need megabytes."""
    blocks = list(columns.row_blocks(999_980_000, 16384))
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    assert (blocks[0].start, blocks[-1].stop) == (0, 999_980_000)
    assert max(block.stop - block.start for block in blocks) == 2**20
    assert not any(block.start % 16384 for block in blocks)
    assert next(columns.row_blocks(100, 2**21)) == slice(0, 100)


def test_digests_card_and_fingerprints_do_not_depend_on_the_blocks(pristine, small_blocks):
    """One manifest, whoever reads however much at a time."""
    header = open_run(pristine)
    manifest = read_manifest(pristine)
    assert {s: content_digest(pristine, s, header) for s in header.counts} == manifest.content
    assert card_contents(pristine, header)["quantities"]["teff"]["histogram"]
    assert finish_dataset(pristine).digest == manifest.digest
    assert np.unique(fingerprints(pristine, "train", header)).size == 100
    assert verify_dataset(pristine).ok


def test_a_large_data_set_is_carded_from_every_kth_row(pristine, monkeypatch):
    """Ranges and S/N counts stay those of all rows."""
    header = open_run(pristine)
    whole = card_contents(pristine, header)
    monkeypatch.setattr("starsmith.data_contract.dataset.card.SAMPLED_ROWS", 60)
    few = card_contents(pristine, header)
    assert few["snr"] == whole["snr"]
    for name, entry in few["quantities"].items():
        assert entry["range"] == whole["quantities"][name]["range"]
        assert sum(entry["histogram"]) == 34 + 14 + 14  # every third row of each split
    assert few["quantities"]["teff"]["quartiles"] != whole["quantities"]["teff"]["quartiles"]


@pytest.mark.parametrize(("split", "source"), [("val", "train"), ("test", "val")])
def test_shared_spectra_are_found_across_blocks(copy, small_blocks, split, source):
    """The last shard of the large split among them, and two small splits with each other."""
    header = open_run(copy)
    plan = {shard.name: shard for shard in plan_shards(header.counts, header.shard_rows)}
    stars = make_columns(header, plan[f"{source}-00000"])
    taken = plan[f"{split}-00000"]
    write_shard(copy, header, taken, stars)
    finish_dataset(copy)
    assert verify_dataset(copy).problems == [f"splits {source} and {split} share 32 spectra"]
