"""Arms of a spectrograph share the pixel axis and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.arms import arm_named, arm_spans
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.noise_tables import PER_ARM
from starsmith.data_contract.noise.view import (
    NoiseTables,
    background,
    honest_error,
    observe_spectra,
    sensitivity,
    true_error,
)
from starsmith.data_contract.random import DrawKey
from tests.conftest import make_noise_tables
from tests.reference import noise as plain

CONDITIONS = np.array([[0.8, 35.0, 0.45, 60.0, 90.0, 0.0, 900.0, 12.0]])


@pytest.fixture
def both():
    """Tables of two arms that overlap in wavelength, and of each arm by itself."""
    blue = make_noise_tables(np.linspace(7100.0, 7900.0, 60))
    red = make_noise_tables(np.linspace(7800.0, 8800.0, 90))
    red = replace(red, read_variance=50.0, sample_factor=1.2, variance_factor=2.0)
    knots = np.linspace(7000.0, 8900.0, 5)  # shared: functions of wavelength alone
    blue, red = (replace(one, knot_wave=knots) for one in (blue, red))
    ours = {name: np.array([getattr(t, name) for t in (blue, red)]) for name in PER_ARM}
    pixels = {
        name: np.concatenate([getattr(blue, name), getattr(red, name)], axis=-1)
        for name in ("wave", "conversion", "sky_rate")
    }
    joint = replace(
        blue,
        **pixels,
        **ours,
        arm_edge=np.array([0.0, 60.0, 150.0]),
        arm_names=("blue", "red"),
    )
    return joint, replace(blue, arm_names=("blue",)), replace(red, arm_names=("red",))


def test_each_arm_is_observed_as_if_alone(both):
    """Floor, stray light and smoothing do not cross the edge between arms: the same bits."""
    joint, blue, red = both
    # photons of a flat star plus one bright pixel at the edge of either arm
    flux = np.full((1, 150), 2.0, dtype=np.float32)
    flux[0, 59:61] = 50.0
    for rows, own in ((slice(0, 60), blue), (slice(60, 150), red)):
        for evaluate in (sensitivity, background):
            np.testing.assert_array_equal(
                evaluate(joint, CONDITIONS)[:, rows], evaluate(own, CONDITIONS)
            )
        np.testing.assert_array_equal(
            true_error(joint, flux, CONDITIONS)[:, rows],
            true_error(own, flux[:, rows], CONDITIONS),
        )
        np.testing.assert_array_equal(
            honest_error(joint, flux, CONDITIONS, "smooth")[:, rows],
            honest_error(own, flux[:, rows], CONDITIONS, "smooth"),
        )


def test_tables_of_one_arm_are_those_it_was_made_of(both):
    joint, _, red = both
    assert [arm.name for arm in joint.arms] == ["blue", "red"]
    cut = joint.arm("red")
    assert (cut.read_variance, cut.sample_factor, cut.arm_edge) == (50.0, 1.2, None)
    np.testing.assert_array_equal(cut.sky_rate, red.sky_rate)
    assert joint.at_pixels("sample_factor")[[59, 60]].tolist() == [1.0, 1.2]


def test_noise_of_several_arms_is_drawn(both):
    """Observed flux scatters by the error the tables give, in both arms."""
    joint, *_ = both
    model = np.full((400, 150), 2.0, dtype=np.float32)
    conditions = np.repeat(CONDITIONS, 400, axis=0)
    flux, _, sigma = observe_spectra(joint, model, conditions, DrawKey(1, "train", np.arange(400)))
    pull = (flux - model) / sigma
    for arm in joint.arms:
        # 4 times the scatter of a standard deviation of n samples
        n = pull[:, arm.pixels].size
        assert pull[:, arm.pixels].std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))


def test_ramp_sampling_scales_what_is_counted(both):
    """Photons and dark electrons vary 1.2 times as much; read noise and the floor do not."""
    *_, red = both
    pixels = range(0, 90, 7)
    expected = [plain.pixel_background(red, CONDITIONS[0], j) for j in pixels]
    # float64 sums in another order
    np.testing.assert_allclose(background(red, CONDITIONS)[0][list(pixels)], expected, rtol=1e-11)
    steady = replace(red, sample_factor=1.0, floor_fraction=0.0, read_variance=0.0)
    ramp = replace(steady, sample_factor=1.2)
    np.testing.assert_allclose(
        background(ramp, CONDITIONS), 1.2 * background(steady, CONDITIONS), rtol=1e-12
    )


def test_seeing_may_grow_with_airmass(both):
    """At 60 degrees and a power of 0.6 the image is 1.516 times as wide as at the zenith."""
    _, blue, _ = both
    low, high = CONDITIONS.copy(), CONDITIONS.copy()
    low[0, :2] = 0.8 * 2**0.6, 60.0
    high[0, :2] = 0.8, 60.0
    grown = replace(blue, seeing_airmass_power=0.6)
    np.testing.assert_allclose(sensitivity(grown, high), sensitivity(blue, low), rtol=1e-12)


def test_tables_of_several_arms_survive_arrays(both):
    joint, *_ = both
    again = NoiseTables.from_arrays(joint.arrays(), joint.arm_names)
    assert again.arms == joint.arms
    np.testing.assert_array_equal(again.read_variance, joint.read_variance)
    with pytest.raises(DataError, match=r"read_variance.*one value per arm"):
        NoiseTables.from_arrays({**joint.arrays(), "read_variance": 80.0}, joint.arm_names)


@pytest.mark.parametrize(
    ("names", "edge", "words"),
    [
        (("b", "r"), [0, 50, 90], "do not divide 100"),
        (("b", "r"), [0, 100, 100], "do not divide 100"),
        (("b", "b"), [0, 50, 100], "different names"),
        (("b",), [0, 50, 100], "different names"),
    ],
)
def test_arms_that_do_not_fit_are_refused(names, edge, words):
    with pytest.raises(DataError, match=words):
        arm_spans(names, edge, 100)


def test_arms_are_found_by_name_or_letter():
    arms = arm_spans(("blue", "red", "nir"), [0, 1, 2, 3], 3)
    assert arm_named(arms, "n").pixels == slice(2, 3)
    with pytest.raises(DataError, match=r"'x' is not one of 'blue', 'red', 'nir'"):
        arm_named(arms, "x")
