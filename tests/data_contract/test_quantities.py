"""One table of quantities: everything else loops over it."""

import ast
from pathlib import Path

import numpy as np
import pytest

from starsmith.cli.shared.options import RANGES
from starsmith.data_contract.dataset.schema import MEANINGS
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.quantities import (
    CONDITIONS,
    LABELS,
    QUANTITIES,
    SCENE,
    STAR,
    UNITS,
    named,
)
from starsmith.simulator.prior import Prior

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("api", "data_contract", "simulator", "fisher", "learners", "cli")
OWNERS = {  # files of the product that may name the dust before a star: its table and its physics
    "data_contract/quantities.py",
    "data_contract/draws.py",
    "simulator/rendering/interpolate.py",
    "simulator/instruments/dust.py",
}


def spelled(word):
    """Product files that use a word as a name, an attribute, an argument or a string."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                texts = (
                    getattr(node, "attr", None),
                    getattr(node, "id", None),
                    getattr(node, "arg", None),
                    getattr(node, "value", None) if isinstance(node, ast.Constant) else None,
                )
                if word in texts:
                    found.add(str(path.relative_to(ROOT)))
    return found


def literal_lists():
    """(file, names) of every literal in the product that lists four or more quantities."""
    known = {quantity.name for quantity in SCENE}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
                names = [p.value for p in parts if isinstance(p, ast.Constant)]
                if len(known & set(map(str, names))) >= 4:
                    yield str(path.relative_to(ROOT)), tuple(names)


def test_the_dust_before_a_star_is_spelled_in_few_files():
    """A star's quantity enters few rooms: its row, its physics, and what is only about it."""
    found = spelled("ebv")
    assert len(found) <= 8, sorted(found)
    assert found >= OWNERS


def test_no_second_list_of_quantities():
    """Four names in one literal are a second table, but for lists that say something else."""
    allowed = {
        "data_contract/quantities.py",  # the table itself, and what is kept of observed stars
        "data_contract/surveys/readers/apogee.py",  # what APOGEE calls each label
        "data_contract/tables/population.py",  # what a table of stars must have
        "data_contract/noise/coadd.py",  # what may differ between exposures
        "data_contract/exchange/published.py",  # other names of the labels
        "simulator/grids/demo.py",  # nodes of the demo grid
        "simulator/instruments/pfs_etc/validate.py",  # words of the calculator's header
        "cli/sim/options.py",  # options of a forecast, in its own order
        "cli/explore/build_page.py",  # where the sliders of a page begin
        "simulator/samples.py",  # columns of a mock table
    }
    assert {file for file, _ in literal_lists()} - allowed == set(), sorted(literal_lists())


def test_every_row_is_whole():
    """Names are unique; what a prior draws has a range inside its limits and a text."""
    names = [quantity.name for quantity in QUANTITIES]
    assert len(set(names)) == len(names)
    assert set(UNITS) == set(names) == set(MEANINGS)
    for quantity in SCENE:
        low, high = quantity.default
        assert quantity.limits[0] <= low <= high <= quantity.limits[1]
        assert quantity.help
        assert quantity.name in (*STAR, *CONDITIONS)
    aliases = [alias for quantity in QUANTITIES for alias in quantity.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(names)


def test_order_of_the_draw_is_fixed():
    """Words of the random block keep their places: existing draws stay what they are."""
    assert (*LABELS[:5], "mag", "rv", "ebv", "vturb") == STAR
    assert LABELS == ("teff", "logg", "m_h", "a_m", "c_m", "vturb")
    assert len(CONDITIONS) == 8


def test_options_and_prior_are_the_table():
    """Every option's default text is the prior's default range."""
    for name, (meaning, default) in RANGES.items():
        ends = [float(end) for end in default.split("..")]
        assert (ends[0], ends[-1]) == Prior.default().ranges[name] == named(name).default
        assert meaning == named(name).help


def test_draws_are_taken_apart_and_built_again():
    """Columns by name and back give the same arrays; other stars come as a new object."""
    draws = Prior.default().draw(3, "val", np.arange(5))
    again = Draws.of_columns(3, "val", draws.label_names, {**draws.columns, "index": draws.index})
    other = Prior.default().draw(4, "val", np.array([0, 1]))
    mixed = draws.with_stars(np.array([1, 3]), other)

    for name, values in draws.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
        if name in CONDITIONS:
            np.testing.assert_array_equal(mixed.columns[name], values)
        else:
            np.testing.assert_array_equal(mixed.columns[name][[1, 3]], other.columns[name])
            np.testing.assert_array_equal(mixed.columns[name][[0, 2, 4]], values[[0, 2, 4]])
    assert set(draws.columns) == {*draws.label_names, "mag", "rv", "ebv", *CONDITIONS}


def test_an_unknown_name_is_no_quantity():
    """A wrong name stops where it is used."""
    with pytest.raises(KeyError, match="colour"):
        named("colour")
