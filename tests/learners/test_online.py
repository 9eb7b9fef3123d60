"""A bank in the training loop: the simulator's photons, and never the same star twice."""

import dataclasses

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.learners.online.cpu_bank import BankOnCpu, open_source
from starsmith.learners.online.torch_bank import OF_RECORD, TRAINING, BankOnDevice
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.compress import compress_bank

PRIOR = Prior.default().with_ranges(
    mag=(19.0, 22.0), exp_count=(2.0, 12.0), zenith_angle=(0.0, 45.0)
)
CPU = torch.device("cpu")


WAYS = (BankOnCpu, lambda *of: BankOnDevice(*of, CPU))
"""The kernels of a CPU, and the operations that any device has."""


def compare(bank, prior, kind="observed", split="val", way=WAYS[1]):
    """Observe the same keys with the simulator and on the device; return both."""
    index = np.array([0, 5, 6, 200, 3])
    draws = draw_stars(bank, prior, 11, split, index)
    twin = observe(bank, draws, error=kind, keep_bits=22)
    device = way(bank, prior.ranges, 11)
    stars = device.draw(torch.from_numpy(index), split, OF_RECORD)
    flux, error = device.observe(stars, split, OF_RECORD, error=kind)
    return draws, twin, stars, flux.numpy(), error.numpy(), device


def check(bank, prior, **options):
    for way in WAYS:
        check_way(bank, prior, way=way, **options)


def check_way(bank, prior, **options):
    draws, twin, stars, flux, error, device = compare(bank, prior, **options)
    np.testing.assert_array_equal(stars.labels.numpy(), draws.labels)
    np.testing.assert_array_equal(stars.mag.numpy(), draws.mag)
    np.testing.assert_array_equal(stars.conditions.numpy(), draws.conditions)
    # float32 pixels: sums of 64 terms and a dozen roundings
    np.testing.assert_allclose(flux, twin.flux, rtol=1e-5, atol=1e-5 * twin.error.min())
    np.testing.assert_allclose(error, twin.error, rtol=1e-5)
    np.testing.assert_allclose(device.signal_to_noise(stars).numpy(), twin.snr, rtol=1e-5)


@pytest.mark.parametrize("kind", ["observed", "smooth"])
def test_the_device_observes_what_the_simulator_observes(toy_bank, kind):
    """Labels to the last bit; flux, honest error and S/N to 1e-5."""
    check(toy_bank, PRIOR, kind=kind)


def test_ramp_sampling_and_seeing_of_the_airmass_agree_too(toy_bank):
    """Excess photon noise of a near-infrared detector, images that grow toward the horizon."""
    noise = dataclasses.replace(toy_bank.noise, sample_factor=1.2, seeing_airmass_power=0.3)
    check(dataclasses.replace(toy_bank, noise=noise), PRIOR.with_ranges(seeing=(0.5, 1.2)))


def test_a_compressed_bank_and_a_linear_one_agree_too(toy_bank):
    """Principal components and linear splines take the same path."""
    check(compress_bank(toy_bank, 1e-4), PRIOR)
    check(dataclasses.replace(toy_bank, interpolation="linear"), PRIOR)


def test_draws_step_over_holes_as_the_simulator_does(toy_bank):
    """A key whose star leans on a filled node takes its next attempt."""
    filled = np.zeros(len(toy_bank.coef), dtype=bool)
    filled[::5][::7] = True
    holed = dataclasses.replace(toy_bank, filled=filled)
    plain = draw_stars(toy_bank, PRIOR, 11, "val", np.array([0, 5, 6, 200, 3]))

    draws, _, stars, _, _, _ = compare(holed, PRIOR)

    np.testing.assert_array_equal(stars.labels.numpy(), draws.labels)
    assert not np.array_equal(plain.labels, draws.labels)
    hopeless = dataclasses.replace(toy_bank, filled=np.ones_like(filled))
    device = BankOnDevice(hopeless, PRIOR.ranges, 0, CPU)
    with pytest.raises(GridError, match="only holes"):
        device.draw(torch.arange(3), "train", TRAINING)


def test_training_stars_are_those_of_no_data_set(toy_bank):
    """Their streams are their own: not the train, val or test split of any seed."""
    device = BankOnDevice(toy_bank, PRIOR.ranges, 11, CPU)
    index = torch.arange(500)

    trained = device.draw(index, "train", TRAINING).labels.numpy()

    for split in ("train", "val", "test"):
        of_record = draw_stars(toy_bank, PRIOR, 11, split, index.numpy()).labels
        assert not np.intersect1d(trained, of_record).size
    assert len(np.unique(trained, axis=0)) == 500


def test_a_star_is_the_same_alone_and_in_any_batch(toy_bank):
    """Batch size and order change no draw, and no spectrum beyond float32 sums."""
    device = BankOnDevice(toy_bank, PRIOR.ranges, 3, CPU)
    together = device.draw(torch.tensor([9, 4, 7]), "train", TRAINING)
    alone = device.draw(torch.tensor([4]), "train", TRAINING)

    flux = [device.observe(stars, "train", TRAINING)[0] for stars in (together, alone)]

    assert torch.equal(together.labels[1], alone.labels[0])
    torch.testing.assert_close(flux[0][1], flux[1][0], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ({"rv": (-100.0, 100.0)}, "stars at rest"),
        ({"a_m": (0.0, 0.4)}, "bank has only"),
        ({"moon_phase": (0.0, 0.5)}, "dark sky only"),
    ],
)
def test_what_cannot_be_drawn_is_refused(toy_bank, ranges, says):
    with pytest.raises(ConfigError, match=says):
        BankOnDevice(toy_bank, PRIOR.with_ranges(**ranges).ranges, 0, CPU)


def test_a_prior_wider_than_the_bank_is_refused(toy_bank):
    """Labels and conditions alike, before anything is drawn."""
    for ranges in ({"teff": (3000.0, 6000.0)}, {"seeing": (0.5, 9.0)}):
        with pytest.raises(GridError, match="leaves the bank"):
            BankOnDevice(toy_bank, PRIOR.with_ranges(**ranges).ranges, 0, CPU)


def test_a_cpu_draws_with_kernels(toy_bank):
    """Feeds and views choose by device."""
    assert type(open_source(toy_bank, PRIOR.ranges, 0, CPU)) is BankOnCpu
    assert type(open_source(toy_bank, PRIOR.ranges, 0, torch.device("meta"))) is BankOnDevice


def test_moonlight_brightens_the_sky_as_in_the_simulator(toy_bank):
    """With tables that know the moon, variance follows its phase and place."""
    n_wave = toy_bank.wave.size
    tables = dataclasses.replace(
        toy_bank.noise, moon_rate=np.full((2, n_wave), 1e-6), moon_extinction=0.17
    )
    lit = dataclasses.replace(toy_bank, noise=tables)

    check(lit, PRIOR.with_ranges(moon_phase=(0.2, 0.8)))
    assert CONDITIONS[5] == "moon_phase"
