"""What people type: units, other names, slips that are answered with what was meant."""

import json

import click
import numpy as np
import pytest

from starsmith.cli.shared.option_types import Duration, Labels, Measure, Named, Range, Values
from starsmith.cli.shared.written_values import OtherMagnitudes
from starsmith.data_contract.quantities import LABELS
from starsmith.data_contract.tables.spectrum_table import spectrum_summary
from starsmith.simulator.observe import observe_star
from starsmith.simulator.prior import Prior
from tests.cli.conftest import call


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Range("teff"), "4000K-5000K", (4000.0, 5000.0)),
        (Range("teff"), "4 kK .. 5 kK", (4000.0, 5000.0)),
        (Range("teff"), "4000-5000K", (4000.0, 5000.0)),
        (Range("m_h"), "-2.5..-1dex", (-2.5, -1.0)),
        (Range("rv"), "-100..100km/s", (-100.0, 100.0)),
        (Range("rv"), "500m/s", (0.5, 0.5)),
        (Range("mag"), "20.5-22.5AB", (20.5, 22.5)),
        (Range("exp_time"), "15min", (900.0, 900.0)),
        (Measure("exp_time"), "0.25 h", 900.0),
        (Measure("seeing"), '0.8"', 0.8),
        (Measure("zenith_angle"), "30°", 30.0),
        (Duration(), "90 min", 5400.0),
        (Values(), "Teff=4750K,log_g=2.5,[Fe/H]=-1", {"teff": 4750.0, "logg": 2.5, "m_h": -1.0}),
        (Values((*LABELS, "rv")), "logg=0.3,rv=5km/s", {"logg": 0.3, "rv": 5.0}),
        (Labels(), "log(g)", "logg"),
        (Labels(), "FeH", "m_h"),
        (Named(["train", "test"]), "Test", "test"),
    ],
)
def test_values_are_taken_as_they_are_written(kind, text, value):
    assert kind.convert(text, None, None) == value


def test_units_that_take_a_library_are_read_too():
    """The Sun's gravity, 274 m/s², is log g 4.438 in cgs."""
    assert Range("logg").convert("274m/s2", None, None)[0] == pytest.approx(4.4378, abs=1e-4)


def test_vega_and_st_magnitudes_are_ab_of_the_band():
    """Blanton & Roweis (2007): i(AB) - i(Vega) is 0.37; ST is AB at 5493 Å."""
    vega = Range("mag").convert("20-21Vega", None, None)

    assert isinstance(vega, OtherMagnitudes)
    assert vega.ab("sdss2010-i") == pytest.approx((20.37, 21.37))
    assert Range("mag").convert("20ST", None, None).ab("ab5493")[0] == pytest.approx(20.0, abs=0.01)
    with pytest.raises(ValueError, match="convert them to AB"):
        vega.ab("hsc2017-i")


MEANT = [
    ("specsim spectrm", "did you mean spectrum?"),
    ("specsim spectrum --seing 0.8 --bank BANK", "'--seeing'"),
    ("specsim spectrum --bank BANK --mag 20,5-22,5", "did you mean 20.5-22.5?"),
    ("specsim spectrum --bank BANK --mag 22-20", "did you mean 20-22?"),
    ("specsim spectrum --bank BANK --teff 4000:5000", "did you mean 4000..5000?"),
    ("specsim spectrum --bank BANK --teff 4750C", "write K"),
    ("specsim spectrum --bank BANK --exp-time 15kg", "write s, min, h or d"),
    ("specsim spectrum --bank BANK --split tset", "did you mean test?"),
    ("specsim snr --instrument pfs_rm", "did you mean pfs_mr?"),
    ("specsim snr --seeing 0,8", "did you mean 0.8?"),
    ("specsim generate -n 10k --bank BANK --out x.zarr", "did you mean 10000?"),
    ("specsim generate -n 1,000 --bank BANK --out x.zarr", "did you mean 1000?"),
    ("specfisher ceiling --target loggg --bank BANK", "did you mean logg?"),
    ("specfisher plan --target-sigma tef=50 --bank BANK", "did you mean teff?"),
]


@pytest.mark.parametrize(("line", "meant"), MEANT)
def test_a_slip_is_answered_with_what_was_meant(line, meant, bank_file):
    done = call(line.replace("BANK", str(bank_file)))

    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert meant in done.stderr


def test_my_star_needs_no_index(toy_bank, bank_file):
    """What is not named is the middle of its range, printed; the Python call is the same star."""
    given = "--teff 4750K --log-g 2.5 --[Fe/H] -1 --mag 21"

    shown = call("specsim spectrum", *given.split(), "--bank", bank_file)
    found = json.loads(call("specsim spectrum --json", *given.split(), "--bank", bank_file).stdout)
    star = observe_star(toy_bank, {"Teff": 4750, "logg": 2.5, "feh": -1, "mag": 21})

    assert found["middle_of_range"] == [
        *("seeing", "zenith_angle", "field_angle", "moon_zenith_angle", "moon_target_angle")
    ]
    assert found["seeing"] == 1.0
    assert shown.stdout.splitlines()[1].startswith("not named, so the middle of its range: seeing,")
    summary = spectrum_summary(star, toy_bank)
    assert summary == {name: found[name] for name in summary}


def test_the_middle_of_a_prior_is_one_star():
    """Ends of the ranges are averaged; exposures are whole."""
    middle = Prior.default().with_ranges(exp_count=(1, 4), mag=(20.0, 21.0)).middle()

    assert middle.ranges["mag"] == (20.5, 20.5)
    assert middle.ranges["exp_count"] == (2.0, 2.0)
    drawn = middle.draw(0, "test", np.arange(3))
    assert np.ptp(drawn.labels, axis=0).tolist() == [0.0, 0.0, 0.0]


def test_counts_of_two_units_are_refused():
    with pytest.raises(click.BadParameter, match="two units"):
        Range("exp_time").convert("10s-15min", None, None)
