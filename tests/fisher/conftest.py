"""Fixtures: a linear one-label world with a known answer, and stars of the toy bank."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from tests.conftest import make_noise_tables

FIXED = {
    "teff": (5000.0, 5000.0),
    "m_h": (0.0, 0.0),
    "mag": (21.0, 21.0),
    "seeing": (0.8, 0.8),
    "zenith_angle": (20.0, 20.0),
    "field_angle": (0.3, 0.3),
}


def make_linear_bank(n_wave: int = 60) -> Bank:
    """Spectra linear in log g alone, on noise that does not know of the star."""
    wave = 8500.0 + 0.4 * np.arange(n_wave)
    shape = np.sin(0.3 * np.arange(n_wave))
    axes = (np.array([3750.0, 6000.0]), np.array([1.0, 5.0]), np.array([-2.5, 0.75]))
    nodes = np.empty((2, 2, 2, n_wave))
    nodes[:, 0], nodes[:, 1] = 1.0 - 0.2 * shape, 1.0 + 0.2 * shape
    # electrons from the star are a millionth of those from the dark
    noise = dataclasses.replace(make_noise_tables(wave), read_variance=1e9)
    return Bank(
        grid={"name": "linear"},
        instrument={"name": "toy"},
        label_names=("teff", "logg", "m_h"),
        axes=axes,
        wave=wave,
        coef=nodes.reshape(8, n_wave).astype(np.float32),
        band_coef=np.full(8, 1e-9),
        filled=np.zeros(8, dtype=bool),
        mag_band="toy",
        noise=noise,
    )


@pytest.fixture(scope="session")
def linear_bank():
    return make_linear_bank()


@pytest.fixture(scope="session")
def linear_prior():
    return Prior.default().with_ranges(**FIXED)


@pytest.fixture(scope="session")
def prior():
    return Prior.default()


@pytest.fixture(scope="session")
def toy_stars(toy_bank, prior):
    """Three hundred observed stars of the toy bank, S/N 1.5 to 11."""
    draws = draw_stars(toy_bank, prior, 3, "test", np.arange(300))
    return observe(toy_bank, draws, error="smooth")
