"""Unknowns that join one after the other never narrow a bound, and end where all are fitted."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.fisher.figures import waterfall_figure
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.information.nuisances import Nuisances, lsf_column, sky_column
from starsmith.fisher.information.waterfall import every_nuisance, waterfall
from starsmith.fisher.stars import star_at

NAMES = ("teff", "logg", "m_h")


@pytest.fixture(scope="module")
def lsf_bank(toy_bank):
    """The toy bank with a table of its line-spread function."""
    arm = {"name": "toy", "lsf_wave_nm": [800.0, 900.0], "lsf_fwhm_pixel": [3.0, 3.0]}
    return dataclasses.replace(toy_bank, instrument={"name": "toy", "arms": [arm]})


@pytest.fixture(scope="module")
def star(toy_bank, prior):
    return star_at(toy_bank, prior, {"teff": 4750.0, "logg": 2.5, "m_h": -1.0, "mag": 20.5})


def test_steps_never_fall_and_end_at_the_marginalised_bound(lsf_bank, star):
    noise = NoiseModel(sky_floor="correlated")
    steps = waterfall(lsf_bank, star, "logg", NAMES, noise=noise)

    assert steps[0].name == "all else known"
    assert steps[-1].name == "correlated noise"
    assert all(b.sigma >= a.sigma * (1 - 1e-9) for a, b in pairwise(steps))
    full = fisher_information(
        lsf_bank, star, "logg", NAMES, "free", every_nuisance(lsf_bank), noise
    )
    assert steps[-1].sigma == pytest.approx(np.sqrt(full.bounds.sigma2[0]), rel=1e-9)
    product = np.prod([s.factor for s in steps])
    assert steps[-1].sigma == pytest.approx(steps[0].sigma * product, rel=1e-9)


def test_a_tight_prior_is_a_step_of_one(lsf_bank, star):
    steps = waterfall(lsf_bank, star, "logg", NAMES, Nuisances(sky=True, priors=(("sky", 1e-9),)))
    assert steps[-1].name == "sky residual"
    assert steps[-1].factor == pytest.approx(1.0, abs=1e-6)


def test_wider_lsf_smears_a_gaussian_line(lsf_bank):
    """∂F/∂ln σ of a line of width s through an LSF of width b is b² F''.

    The spline's second derivative is good to h² / 12 s² × 3 = 1.2 % at the centre: 2 % of the peak.
    """
    wave = lsf_bank.wave
    width = np.median(np.gradient(wave)) * 3.0 / np.sqrt(8.0 * np.log(2.0))
    x = (wave - wave.mean()) / 2.0
    line = np.exp(-0.5 * x**2)
    expected = width**2 * line * (x**2 - 1.0) / 4.0

    found = lsf_column(1.0 - line[None], lsf_bank)[0, 0]

    np.testing.assert_allclose(found, -expected, atol=0.02 * np.abs(expected).max())


def test_a_bank_without_lsf_table_says_so(toy_bank):
    with pytest.raises(ConfigError, match="leave lsf out"):
        lsf_column(np.ones((1, toy_bank.wave.size)), toy_bank)


def test_sky_left_over_has_the_lines_of_the_sky(toy_bank, star):
    """Its brightest pixel is that of the sky's table."""
    sky = sky_column(toy_bank, star.conditions)[0, 0]
    expected = toy_bank.noise.sky_rate[20] / toy_bank.noise.conversion
    assert np.argmax(sky) == np.argmax(expected)
    assert (sky > 0.0).all()


def test_figure_names_every_step(lsf_bank, star):
    steps = waterfall(lsf_bank, star, "logg", NAMES)
    figure = waterfall_figure(steps, "logg", "a star", "TOY")
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[0] == "all else known"
    assert labels[-1] == f"+ {steps[-1].name}"
    assert figure.get_supxlabel() == "TOY"
