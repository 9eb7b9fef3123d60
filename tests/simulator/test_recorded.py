"""The bank that a data set names: the same to the bit, or one that makes the same stars."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.errors import DataError
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.generation.recorded import open_recorded, recorded_bank
from starsmith.simulator.prior import Prior

PRIOR = Prior.default().with_ranges(seeing=(0.6, 1.4), zenith_angle=(0.0, 40.0))


@pytest.fixture(params=["noiseless", "keys"])
def made(request, toy_bank, tmp_path):
    """A data set in each store, and the file of its bank."""
    bank = tmp_path / "toy.zarr"
    toy_bank.save(bank)
    settings = Settings(store=request.param, config={"bank": str(bank)})
    write_dataset(toy_bank, PRIOR, 120, tmp_path / "data.zarr", seed=3, settings=settings)
    return tmp_path / "data.zarr", bank


def scaled(file, factor):
    """Put a bank there whose stars are brighter in their band and whose sky is brighter."""
    bank = load_bank(file)
    noise = replace(bank.noise, sky_rate=bank.noise.sky_rate * factor)
    other = replace(bank, band_coef=bank.band_coef * factor, noise=noise)
    assert other.digest != bank.digest
    shutil.rmtree(file)
    other.save(file)


def test_a_bank_that_differs_by_rounding_is_taken(made):
    data, bank = made
    before = open_recorded(data).split("test").flux_model(slice(0, 4))
    scaled(bank, 1.0 + 1e-12)
    assert recorded_bank(data).digest == load_bank(bank).digest
    after = open_recorded(data).split("test").flux_model(slice(0, 4))
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_a_bank_that_makes_other_stars_is_refused(made):
    data, bank = made
    scaled(bank, 1.0 + 1e-4)
    with pytest.raises(DataError, match="makes other stars"):
        recorded_bank(data)
