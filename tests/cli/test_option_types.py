"""Option types: what they accept, and that rubbish is refused with the fix."""

import contextlib
import json
import math
import re

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starsmith.cli.shared.option_types import (
    LABEL_NAMES,
    SPLIT_NAMES,
    Count,
    Duration,
    Edges,
    Numbers,
    Range,
    SplitCounts,
    Values,
)
from starsmith.data_contract.quantities import LABELS, SNR_EDGES, SPLITS
from tests.cli.conftest import call


def parse(kind, text):
    return kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "n"), [("2000", 2000), ("1e6", 10**6), ("1.5e3", 1500), ("1E+3", 1000), (7, 7)]
)
def test_counts_are_whole_numbers_however_written(text, n):
    assert parse(Count(), text) == n


@pytest.mark.parametrize(
    "text",
    [
        "-5",
        "0",
        "1e99",
        "1e-3",
        "1.5",
        "rubbish",
        "",
        "nan",
        "inf",
        "1e6e6",
        "٣",
        "5000000000",
        [1],
    ],
)
def test_rubbish_counts_are_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="like 2000 or 1e6"):
        parse(Count(), text)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("20.5-22.5", (20.5, 22.5)),
        ("20.5..22.5", (20.5, 22.5)),
        ("21", (21.0, 21.0)),
        ("-2.5..0.75", (-2.5, 0.75)),
        ("-2..-1", (-2.0, -1.0)),
        ("-1", (-1.0, -1.0)),
        ([4000, 6000], (4000.0, 6000.0)),
        (21.5, (21.5, 21.5)),
    ],
)
def test_ranges_take_dots_and_dashes(text, bounds):
    assert parse(Range(), text) == bounds


@pytest.mark.parametrize(
    ("text", "fix"), [("23-20", "20-23"), ("20..5", "5..20"), ("0.75..-2.5", "-2.5..0.75")]
)
def test_a_reversed_range_suggests_the_fix(text, fix):
    with pytest.raises(click.BadParameter, match=f"did you mean {fix}"):
        parse(Range(), text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "..",
        "20.5-",
        "-2.5-0.75",
        "1-2-3",
        "[\\d",
        "20.5:22.5",
        "a-b",
        "1e400",
        "nan",
        [1, 2, 3],
    ],
)
def test_rubbish_ranges_are_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match=r"20\.5-22\.5"):
        parse(Range(), text)


def test_edges_are_the_standard_ones_or_a_list():
    assert parse(Edges(), "default") == SNR_EDGES
    assert parse(Edges(), "0, 5,10,inf") == (0.0, 5.0, 10.0, math.inf)


@pytest.mark.parametrize("text", ["", "5", "5,3", "5,5", "a,b", "-1,2", "0,nan", "inf,inf", "0;5"])
def test_rubbish_edges_are_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="like 0,5,10,inf"):
        parse(Edges(), text)


def test_split_sizes_by_name():
    assert parse(SplitCounts(), "test=1e3,train=20,val=5") == {
        "train": 20,
        "val": 5,
        "test": 1000,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "train",
        "train=",
        "train=-1",
        "holdout=5",
        "train=1,train=2",
        "train=9",
        "train=8,val=1,test=0",
    ],
)
def test_rubbish_split_sizes_are_refused(text):
    with pytest.raises(click.BadParameter):
        parse(SplitCounts(), text)


@given(st.text(max_size=12))
@pytest.mark.parametrize("kind", [Count(), Range(), Edges(), SplitCounts()])
def test_any_text_is_a_value_or_one_clear_complaint(kind, text):
    """No text reaches the caller as another exception or as a number that is not finite."""
    with contextlib.suppress(click.BadParameter):
        value = parse(kind, text)
        numbers = value.values() if isinstance(value, dict) else np.atleast_1d(value)
        assert all(number == number for number in numbers)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_range_survives_being_written_out(one, other):
    low, high = sorted((one, other))

    assert parse(Range(), f"{low:.6f}..{high:.6f}") == (float(f"{low:.6f}"), float(f"{high:.6f}"))


def test_names_on_the_command_line_are_those_of_the_glossary():
    """The commands spell them out so that --help needs no heavy import."""
    assert LABEL_NAMES == LABELS
    assert tuple(SPLITS) == SPLIT_NAMES


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43200.0), ("90m", 5400.0), ("1.5 h", 5400.0), ("30s", 30.0)]
)
def test_durations_become_seconds(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["12", "h", "0h", "-1h", "2w"])
def test_durations_need_a_positive_number_and_a_unit(text):
    with pytest.raises(click.BadParameter, match="12h, 90m or 5400s"):
        Duration().convert(text, None, None)


def test_values_are_labels_with_numbers():
    assert Values().convert("teff=4750, m_h=-1", None, None) == {"teff": 4750.0, "m_h": -1.0}


@pytest.mark.parametrize("text", ["teff", "mass=1", "teff=hot", "logg=1,logg=2"])
def test_values_of_anything_else_are_refused(text):
    with pytest.raises(click.BadParameter, match="teff=4750"):
        Values().convert(text, None, None)


def test_numbers_increase():
    assert Numbers().convert("20.5, 21,22", None, None) == (20.5, 21.0, 22.0)
    for text in ("21,20", "20,,21", "bright"):
        with pytest.raises(click.BadParameter, match=r"20\.5,21,22"):
            Numbers().convert(text, None, None)


def test_split_sizes_are_taken_as_the_help_prints_them(tmp_path, bank_file):
    """The metavar with numbers in it is a value; so is it in capitals."""
    help_text = call("specsim generate --help").stdout
    printed = next(line for line in help_text.splitlines() if "--splits" in line).split()[1]
    for text in (printed, printed.upper()):
        sizes = re.sub(r"=N", "=4", text)
        line = "specsim generate --workers 1 --dry-run --json --splits"
        done = call(line, sizes, "--bank", bank_file, "--out", tmp_path / "data.zarr")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["counts"] == {"train": 4, "val": 4, "test": 4}
