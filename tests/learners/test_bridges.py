"""Spectra go to other libraries and come back: the same numbers, whoever carries them."""

import numpy as np
import pytest
from astropy import units

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

BRIDGES = {"table": "astropy", "pandas": "pandas", "xarray": "xarray", "specutils": "specutils"}


@pytest.fixture(scope="module")
def batch(toy_bank):
    return observe(toy_bank, draw_stars(toy_bank, Prior.default(), 3, "test", np.arange(4)))


@pytest.mark.parametrize("name", BRIDGES)
@pytest.mark.parametrize("row", [None, 2])
def test_each_bridge_leads_both_ways(batch, name, row):
    pytest.importorskip(BRIDGES[name])

    there = getattr(batch, f"to_{name}")(row)
    back = getattr(Observed, f"from_{name}")(there)

    some = slice(None) if row is None else row
    np.testing.assert_array_equal(back.wave, batch.wave)
    np.testing.assert_allclose(back.flux, batch.flux[some], rtol=1e-6)
    np.testing.assert_allclose(back.error, batch.error[some], rtol=1e-6)
    np.testing.assert_array_equal(back.usable, batch.usable[some])


@pytest.mark.parametrize("name", BRIDGES)
def test_whoever_carries_spectra_converts_the_same_way(batch, name):
    pytest.importorskip(BRIDGES[name])
    one = batch[1]

    back = getattr(Observed, f"from_{name}")(getattr(one, f"to_{name}")())

    np.testing.assert_allclose(back.flux, one.flux, rtol=1e-6)


def test_a_split_and_a_batch_of_the_same_keys_are_the_same_tensors(pristine_split):
    torch = pytest.importorskip("torch")
    split, batch = pristine_split

    tensors, again = split.to_torch(), batch.to_torch()

    assert torch.equal(tensors["flux"], again["flux"])
    assert torch.equal(tensors["labels"], again["labels"])
    assert tensors["labels"].shape == (len(batch), 3)
    assert split.to_table()["teff"].tolist() == batch.to_table()["teff"].tolist()


@pytest.fixture
def pristine_split(toy_bank, tmp_path):
    from starsmith.data_contract import open_dataset
    from starsmith.simulator import write_dataset

    write_dataset(toy_bank, Prior.default(), 30, tmp_path / "d.zarr", seed=3)
    split = open_dataset(tmp_path / "d.zarr").split("test")
    draws = draw_stars(toy_bank, Prior.default(), 3, "test", np.arange(len(split)))
    return split, observe(toy_bank, draws)


def test_units_of_others_are_converted(batch):
    """Micrometres and janskys, as others have them."""
    xarray = pytest.importorskip("xarray")
    wave = batch.wave * units.AA
    jansky = (batch.flux[0] * units.Unit("1e-17 erg / (s cm2 Angstrom)")).to(
        "Jy", units.spectral_density(wave)
    )
    theirs = xarray.Dataset(
        {"flux": ("wave", jansky.value, {"units": "Jy"})},
        coords={"wave": ("wave", wave.to_value("um"), {"units": "um"})},
    )

    back = Observed.from_xarray(theirs)

    np.testing.assert_allclose(back.wave, batch.wave)
    np.testing.assert_allclose(back.flux, batch.flux[0], rtol=1e-5)


def test_what_has_no_wavelengths_is_refused():
    from astropy.table import Table

    with pytest.raises(DataError, match="needs wave"):
        Observed.from_table(Table({"flux": [1.0, 2.0]}))
