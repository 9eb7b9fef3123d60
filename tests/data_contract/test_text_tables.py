"""One text of a number, in tables of commands and in reports."""

import math

import pytest

from starsmith.data_contract.text_tables import cell_text, is_number, text_table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (0.5, "0.500"),
        (2e-5, "2e-05"),
        (12345.6, "1.235e+04"),
        (7, "7"),
    ],
)
def test_a_number_has_one_text(value, text):
    """Small numbers are not rounded to nothing, unknown ones are a dash."""
    assert cell_text(value) == text
    assert is_number(text)


def test_a_table_is_aligned():
    """Numbers end together, words begin together."""
    rows = [{"name": "ridge", "R2": 0.5}, {"name": "a", "R2": None}]
    assert text_table(rows) == (
        "| name  |    R2 |\n| ----- | ----: |\n| ridge | 0.500 |\n| a     |     - |"
    )
