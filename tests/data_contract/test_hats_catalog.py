"""HATS catalogues and their Croissant description, read back with lsdb and mlcroissant."""

import json

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.hats_catalog import export_hats, synthetic_places
from tests.data_contract.example import make_header, write_example

ROWS = np.arange(3, 40)


@pytest.fixture(scope="module")
def split(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("data") / "hit.zarr"
    write_example(path, make_header(noise, noise_model={"cosmic_rays": 0.5}))
    return open_dataset(path).split("test")


@pytest.fixture(scope="module")
def catalog(split, tmp_path_factory):
    pytest.importorskip("lsdb", reason="the extra exchange is not installed")
    out = tmp_path_factory.mktemp("hats") / "stars"
    return export_hats(split, ROWS, out, truth=True, synthetic=True)


def test_lsdb_reads_the_spectra_back(split, catalog):
    """Every number as observed; ivar is 1/σ² where a pixel can be used, else 0."""
    import lsdb

    found = lsdb.open_catalog(catalog).compute().sort_values("object_id")
    assert list(found["object_id"]) == list(split.draws.index[ROWS])
    assert set(found["place"]) == {"synthetic"}
    np.testing.assert_array_equal(found["logg"], split.label("logg")[ROWS])
    np.testing.assert_array_equal(found["seeing"], split.draws.conditions[ROWS, 0])
    seen = split.observe(ROWS)
    assert not seen.usable.all()
    for k, spectrum in enumerate(found["spectrum"]):
        assert set(spectrum.columns) >= {"wavelength", "flux", "ivar", "mask"}
        np.testing.assert_array_equal(spectrum["wavelength"], split.wave)
        np.testing.assert_array_equal(spectrum["flux"], seen.flux[k])
        np.testing.assert_array_equal(spectrum["mask"], seen.mask[k])
        good = seen.usable[k]
        np.testing.assert_array_equal(spectrum["ivar"][~good], 0.0)
        np.testing.assert_allclose(spectrum["ivar"][good] ** -0.5, seen.error[k][good], rtol=1e-6)


def test_a_cone_finds_the_stars_in_it(split, catalog):
    """Divided by place: those within a cone, counted by hand, and no other."""
    import lsdb

    ra, dec = np.radians(synthetic_places("test", split.draws.index[ROWS]))
    middle = np.radians((40.0, 10.0))
    across = np.sin(dec) * np.sin(middle[1])
    across += np.cos(dec) * np.cos(middle[1]) * np.cos(ra - middle[0])
    inside = np.degrees(np.arccos(across)) < 40.0
    assert 0 < inside.sum() < ROWS.size
    cone = lsdb.ConeSearch(ra=40.0, dec=10.0, radius_arcsec=40.0 * 3600.0)
    found = lsdb.open_catalog(catalog, search_filter=cone).compute()
    assert set(found["object_id"]) == set(split.draws.index[ROWS][inside])


def test_mlcroissant_reads_what_is_described(split, catalog):
    mlc = pytest.importorskip("mlcroissant", reason="the extra exchange is not installed")
    description = mlc.Dataset(jsonld=str(catalog / "croissant.json"))
    assert not description.metadata.issues.errors
    assert "EXAMPLE" in description.metadata.description
    records = {r["stars/object_id"]: r for r in description.records("stars")}
    assert set(records) == set(split.draws.index[ROWS])
    seen = split.observe(ROWS)
    one = records[int(split.draws.index[ROWS][5])]
    np.testing.assert_array_equal(np.asarray(one["stars/flux"], np.float32), seen.flux[5])
    np.testing.assert_array_equal(one["stars/mask"], seen.mask[5])
    assert one["stars/snr"] == split.snr[ROWS][5]


def test_labels_are_written_only_where_asked_for(split, tmp_path):
    """A test split given to others does not tell its answers."""
    pytest.importorskip("lsdb", reason="the extra exchange is not installed")
    folder = export_hats(split, ROWS[:4], tmp_path / "blind", synthetic=True)
    described = json.loads((folder / "croissant.json").read_text())
    names = {field["name"] for field in described["recordSet"][0]["field"]}
    assert {"ra", "dec", "mag", "flux"} <= names
    assert not names & {"teff", "logg", "m_h"}


def test_synthetic_places_are_even_and_their_own(split):
    """Equal shares in equal areas within 4 sigma of chance; no place twice, by split either."""
    every = {name: synthetic_places(name, np.arange(20_000)) for name in ("train", "test")}
    for ra, dec in every.values():
        cells = np.histogram2d(ra, np.sin(np.radians(dec)), (8, 8), ((0, 360), (-1, 1)))[0]
        assert np.abs(cells - 20_000 / 64).max() < 4 * np.sqrt(20_000 / 64)
    both = np.concatenate([np.stack(place, axis=1) for place in every.values()])
    assert len(np.unique(both, axis=0)) == len(both)
    again = synthetic_places("test", np.array([7]))
    assert (again[0][0], again[1][0]) == (every["test"][0][7], every["test"][1][7])


def test_stars_without_a_place_are_refused(split, tmp_path):
    pytest.importorskip("lsdb", reason="the extra exchange is not installed")
    with pytest.raises(DataError, match=r"37 of 37 .* no ra and dec.*--synthetic-places"):
        export_hats(split, ROWS, tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_only_a_catalogue_is_replaced(split, catalog, tmp_path):
    with pytest.raises(DataError, match="exists already"):
        export_hats(split, ROWS, catalog, synthetic=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match="no HATS catalogue"):
        export_hats(split, ROWS, tmp_path / "mine", synthetic=True, overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"
