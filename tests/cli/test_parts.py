"""Parts of a data set from the command line: job files, parts, the final pass."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from starsmith.data_contract.dataset.manifest import read_manifest
from tests.cli.conftest import call

LINE = "specsim generate -n 300 --seed 7 --workers 1 --shard-rows 64"


@pytest.fixture(scope="module")
def whole(bank_file, tmp_path_factory):
    """Digest of the data set made in one go."""
    out = tmp_path_factory.mktemp("whole") / "data.zarr"
    done = call(LINE, "--bank", bank_file, "--out", out)
    assert done.exit_code == 0, done.stderr
    return read_manifest(out).digest


def test_lines_of_a_disbatch_file_make_the_data_set(bank_file, whole, tmp_path):
    """Run in reverse order, without the barrier; then the final pass."""
    out = tmp_path / "my data.zarr"
    done = call(f"{LINE} --emit-tasks disbatch --task-shards 2", "--bank", bank_file, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "3 tasks for 6 shards" in done.stdout
    *header, finish = Path(f"{out}.disbatch").read_text().splitlines()
    lines = [line for line in header if not line.startswith("#")]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["0:2", "2:4", "4:6"]
    for line in lines[::-1]:
        early = call("specdata finish", out)
        assert early.exit_code == 2
        assert "are not written yet" in early.stderr
        done = call(*shlex.split(line))
        assert done.exit_code == 0, done.stderr
        assert "`specdata finish" in done.stdout
    done = call(*shlex.split(finish), "--json")
    assert json.loads(done.stdout)["digest"] == whole


def test_a_slurm_script_makes_its_part(bank_file, whole, tmp_path):
    """Every task of the array, the last one shorter, in the words that bash makes for SLURM."""
    out = tmp_path / "data.zarr"
    call(f"{LINE} --emit-tasks slurm --task-shards 4", "--bank", bank_file, "--out", out)
    script = Path(f"{out}.slurm")
    assert "#SBATCH --array=0-1\n" in script.read_text()
    listening = tmp_path / "bin" / "specsim"
    listening.parent.mkdir()
    listening.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
    listening.chmod(0o755)
    for task in ("1", "0"):
        environment = {"SLURM_ARRAY_TASK_ID": task, "PATH": f"{listening.parent}:/usr/bin:/bin"}
        words = subprocess.run(
            ["bash", script], env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        done = call("specsim", *words[1:])
        assert done.exit_code == 0, done.stderr
    assert json.loads(call("specdata finish --json", out).stdout)["digest"] == whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--shards 9:3", "is not a span of shards; write 0:50"),
        ("--shards 0:99", "--shards 0:99 is not within 0:6"),
        ("--shards 0:2 --emit-tasks slurm", "drop --shards"),
        ("--task-shards 5", "belongs to --emit-tasks"),
        ("--shards 0:2 --overwrite", "without --overwrite"),
        ("--shards 0:2 --format hdf5", "--format zarr"),
        ("--scheduler nowhere", "tcp://host:8786, or mpi"),
        ("--shard-rows 100", "not a multiple of 16"),
    ],
)
def test_parts_that_make_no_sense_are_refused(options, message, bank_file, tmp_path):
    done = call(f"{LINE} {options}", "--bank", bank_file, "--out", tmp_path / "data.zarr")
    assert done.exit_code == 2
    assert message in done.stderr.replace("\n", " ")
