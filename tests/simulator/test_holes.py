"""What a filled node leaves in spectra that do not lean on it."""

import dataclasses
import math

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.simulator.rendering.holes import filled_leakage, used_nodes
from starsmith.simulator.rendering.interpolate import (
    combine,
    prefilter,
    spline_weights,
    touches_filled,
)

LONG = np.arange(40.0)


def test_leakage_of_a_hole_far_from_the_ends():
    """Unit nodes: the cardinal spline's coefficients are √3 (√3 - 2)^k, k ≥ 1 being used."""
    filled = np.zeros(40, dtype=bool)
    filled[20] = True

    assert filled_leakage((LONG,), filled) == pytest.approx(math.sqrt(3) * (2 - math.sqrt(3)))
    filled[19:22] = True  # the middle one is another node away; its neighbours are as near
    assert filled_leakage((LONG,), filled) == pytest.approx(math.sqrt(3) * (2 - math.sqrt(3)))


def test_no_hole_and_no_cell_leak_nothing():
    assert filled_leakage((LONG,), np.zeros(40, dtype=bool)) == 0.0
    assert filled_leakage((LONG,), np.arange(40) % 3 == 0) == 0.0
    assert filled_leakage((LONG,), LONG == 20, most=1) == 0.0  # linear: no prefilter


def test_used_coefficients_are_those_of_accepted_draws():
    """Twin: draw everywhere, keep the accepted draws, collect what they touch."""
    rng = np.random.default_rng(4)
    axes = (np.arange(9.0), np.sort(rng.uniform(0, 5, 7)))
    filled = rng.random((9, 7)) < 0.05
    labels = np.stack([rng.uniform(axis[0], axis[-1], 4000) for axis in axes], axis=1)
    bank = _bank(axes, np.zeros((63, 4)), filled)
    accepted = labels[~touches_filled(bank, labels)]
    touched = np.zeros(63, dtype=bool)
    touched[spline_weights(bank, accepted)[0].ravel()] = True

    np.testing.assert_array_equal(used_nodes(axes, filled).ravel(), touched)


def test_leakage_bounds_the_change_of_accepted_spectra():
    """Changing a filled node by one changes no accepted spectrum by more than the leakage."""
    rng = np.random.default_rng(5)
    axes = (np.arange(8.0), np.arange(7.0))
    filled = np.zeros((8, 7), dtype=bool)
    filled[0, 0] = True
    values = prefilter(filled[..., None].astype(float), axes).reshape(56, 1)
    bank = _bank(axes, values, filled)
    labels = np.stack([rng.uniform(axis[0], axis[-1], 4000) for axis in axes], axis=1)
    accepted = labels[~touches_filled(bank, labels)]

    change = np.abs(combine(bank, *spline_weights(bank, accepted))).max()

    limit = filled_leakage(axes, filled)
    assert 0.02 * limit < change <= limit * (1 + 1e-6)  # float32


def test_leakage_is_told_with_the_bank(tmp_path):
    """It travels in the bank's file, beside what decides spectra and outside the digest."""
    bank = _bank((LONG,), np.ones((40, 4)), LONG == 20)
    told = dataclasses.replace(bank, info={"filled_leakage": 0.46})
    told.save(tmp_path / "bank.zarr")

    assert load_bank(tmp_path / "bank.zarr").info == {"filled_leakage": 0.46}
    assert told.digest == bank.digest


def _bank(axes, coef, filled):
    from tests.conftest import make_toy_bank

    toy = make_toy_bank(coef.shape[1])
    return dataclasses.replace(
        toy,
        label_names=("teff", "logg")[: len(axes)],
        axes=axes,
        coef=coef.astype(np.float32),
        band_coef=np.ones(len(coef)),
        filled=filled.ravel(),
    )
