"""Tables of stars: matched, cut, and their labels joined."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.surveys.catalogues.catalogue import read_catalogue
from starsmith.data_contract.surveys.catalogues.crossmatch import match_by_id, match_on_sky
from starsmith.data_contract.surveys.catalogues.label_table import compile_labels
from starsmith.data_contract.surveys.catalogues.recipe import (
    apply_recipe,
    list_recipes,
    read_recipe,
)
from starsmith.data_contract.tables.user_table import read_table


@pytest.fixture
def table(tmp_path):
    def write(name, text):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        return path

    return write


def test_ids_of_many_digits_match_and_duplicates_are_counted(table):
    first = read_table(table("a", "targetid\n39633300968442591\n39633300968442592\n"))
    second = read_table(
        table("b", "TARGETID\n39633300968442592\n39633300968442592\n39633300968442593\n")
    )
    match = match_by_id(first, second)
    assert (match.first.tolist(), match.second.tolist()) == ([1, 1], [0, 1])
    assert match.duplicates == (1, 0)
    assert match.table()["n_a"].tolist() == [2, 2]


def test_a_fast_star_is_found_at_the_epoch_it_is_asked_for(table):
    """A star of 1 arcsec/yr, 16 years apart."""
    old = read_table(
        table("old", "ra,dec,pmra,pmdec,ref_epoch\n150.0,0.0,1000,0,2000\n10,5,0,0,2000\n")
    )
    new = read_table(table("new", f"ra,dec\n{150 + 16 / 3600},0.0\n10,5\n"))
    match = match_on_sky(old, new, radius=0.5, epoch=2016.0)
    assert match.first.tolist() == [0, 1]
    assert match.separation.max() < 0.01
    assert match_on_sky(old, new, radius=0.5, epoch=2000.0).first.tolist() == [1]
    assert "epoch 2016 (moved and as they are)" in match.by


def test_tables_without_a_common_id_are_refused(table):
    first, second = (read_table(table(n, f"{n},teff\n1,2\n")) for n in ("targetid", "obsid"))
    with pytest.raises(DataError, match="no id in common"):
        match_by_id(first, second)


def test_cuts_are_counted_one_after_the_other(table):
    path = table(
        "apogee",
        "STARFLAG,FE_H_FLAG,MG_FE_FLAG,SNR\n0,0,0,50\n0,0,0,30\n4,0,0,90\n0,0,0,nan\n0,0,,99\n",
    )
    rows, counts = apply_recipe(read_table(path), read_recipe("apogee_dr17"))
    assert [n for _, n in counts] == [5, 4, 4, 3, 1]
    assert rows.tolist() == [True, False, False, False, False]


def test_every_recipe_that_comes_along_is_one():
    for name in list_recipes():
        assert read_recipe(name).cuts
        assert read_recipe(name).source


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "no .*cut"),
        ('[[cut]]\ncolumn = "teff"\nsmaller = 3', "is no cut"),
        ('[[cut]]\ncolumn = "nothing"\nequals = 3', "no column nothing"),
        ('[[cut]]\ncolumn = "teff"\nequals = "hot"', "holds numbers"),
    ],
)
def test_recipes_that_cannot_be_are_refused(tmp_path, table, text, said):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        apply_recipe(read_table(table("t", "teff\n5000\n")), read_recipe(str(tmp_path / "r.toml")))


def test_the_first_table_is_believed_and_each_label_says_whose_it_is(table):
    first = table("first", "apogee_id,teff,logg\na,5000,2.0\nb,6000,\n")
    second = table("second", "apogee_id,teff,teff_err,logg\na,5100,50,2.5\nb,1,1,3.5\nc,4000,9,1\n")
    found = compile_labels([read_catalogue(path) for path in (first, second)])
    assert found["apogee_id"].tolist() == ["a", "b", "c"]
    assert found["teff"].tolist() == [5000, 6000, 4000]
    assert found["logg"].tolist() == [2.0, 3.5, 1.0]
    assert found["logg_source"].tolist() == ["first.csv", "second.csv", "second.csv"]


def test_offsets_only_if_asked_and_on_common_stars(table):
    rows = [f"s{k},{5000 + 10 * k}" for k in range(6)]
    first = table("first", "\n".join(["apogee_id,teff", *rows]))
    shifted = [f"s{k},{5080 + 10 * k}" for k in range(8)]
    second = table("second", "\n".join(["apogee_id,teff", *shifted]))
    pair = [read_catalogue(path) for path in (first, second)]
    assert compile_labels(pair)["teff"].tolist()[-1] == 5150
    found = compile_labels(pair, offsets=True)
    assert found["teff"].tolist()[-1] == 5070
    assert found["teff_source"].tolist()[-1] == "second.csv (offset -80)"
    assert found.meta["offsets"] == {"second.csv": [("teff", 80.0, 6)]}
    few = [read_catalogue(table("few", "apogee_id,teff\ns1,5000\n")), pair[0]]
    with pytest.raises(DataError, match="leave out --offsets"):
        compile_labels(few, offsets=True)


def test_ids_in_floating_point_are_refused(table):
    path = table("float", "targetid,teff\n3.9633300968442591e16,5000\n")
    with pytest.raises(DataError, match="floating-point"):
        read_catalogue(path)


def test_catalogue_units_are_nan_where_blank(table):
    catalogue = read_catalogue(table("blank", "targetid,teff\n1,\n2,5000\n"))
    assert dict(catalogue.labels_of(0)) == {}
    assert np.isfinite(dict(catalogue.labels_of(1))["teff"][0])
