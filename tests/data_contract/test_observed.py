"""Observed spectra: one definition of a usable pixel, units, masked entries, rows."""

import numpy as np
import pytest
from astropy import units
from astropy.table import Table
from astropy.utils.masked import Masked

from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.pfs_files import PfsObject
from starsmith.data_contract.observed import Observed, error_of_ivar
from starsmith.data_contract.rest_frame import shift_to_rest
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

WAVE = 8000.0 + 0.4 * np.arange(6)
ONES = np.ones(6)
FLUX_UNIT = units.Unit("1e-17 erg / (s cm2 Angstrom)")


def unusable(**changed):
    given = {"wave": WAVE, "flux": ONES.copy(), "error": ONES.copy()} | changed
    return np.flatnonzero(~Observed(**given).usable).tolist()


@pytest.mark.parametrize("bit", [0, 8, 31, 32, 33, 40, 62, 63])
def test_a_flag_of_any_width_makes_a_pixel_unusable(bit):
    """No bit is lost in a narrower integer, signed or not."""
    flags = np.zeros(6, np.uint64)
    flags[2] = np.uint64(1) << np.uint64(bit)
    assert unusable(mask=flags) == [2]
    assert unusable(mask=flags.view(np.int64)) == [2]
    assert unusable(mask=flags.astype(np.float64)) == [2]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_flux_must_be_finite_and_errors_positive(value):
    """Zero and negative fluxes are measurements; such errors and inverse variances are not."""
    one = ONES.copy()
    one[4] = value
    assert unusable(error=one) == [4]
    assert unusable(error=error_of_ivar(one)) == [4]
    assert unusable(flux=one) == ([] if np.isfinite(value) else [4])


@pytest.mark.parametrize("name", ["flux", "error", "mask"])
def test_masked_entries_are_unusable(name):
    """numpy's, astropy's and a table's: masked is masked, whatever lies beneath."""
    beneath = np.zeros(6, np.int64) if name == "mask" else ONES
    hidden = np.arange(6) == 3
    masked = np.ma.array(beneath, mask=hidden)
    assert unusable(**{name: masked}) == [3]
    table = Table({"c": masked})
    assert unusable(**{name: table["c"]}) == [3]
    if name != "mask":
        table["c"].unit = FLUX_UNIT
        changed = {"flux": ONES * FLUX_UNIT, name: Masked(ONES * FLUX_UNIT, mask=hidden)}
        assert unusable(**changed) == [3]
        assert unusable(**{"flux": ONES * FLUX_UNIT, name: table["c"]}) == [3]


def test_units_are_converted():
    """f_λ = f_ν c / λ² by hand; nm and µm are tens and ten thousands of Å."""
    seen = Observed(WAVE / 10 * units.nm, 3.0 * ONES * units.uJy, 2000.0 * ONES * units.nJy)
    per_ujy = 1e-29 * 2.99792458e18 / WAVE**2 / 1e-17
    np.testing.assert_allclose(seen.wave, WAVE, rtol=1e-15)
    np.testing.assert_allclose(seen.flux, 3.0 * per_ujy, rtol=1e-12)
    np.testing.assert_allclose(seen.error, 2.0 * per_ujy, rtol=1e-12)
    cgs = Observed(
        WAVE * 1e-4 * units.um, 4e-17 * ONES * units.Unit("erg / (s cm2 Angstrom)"), ONES
    )
    np.testing.assert_allclose(cgs.flux, 4.0, rtol=1e-12)
    np.testing.assert_allclose(cgs.error, 1e17, rtol=1e-12)  # an error in the flux's unit
    ivar = 4.0 * ONES / units.nJy**2
    half = Observed(WAVE * units.AA, ONES * units.nJy, error_of_ivar(ivar))
    np.testing.assert_allclose(half.error / half.flux, 0.5, rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"wave": WAVE * units.s}, "wave.*no unit of wavelength"),
        ({"flux": ONES * units.adu}, "flux.*adu.*no unit of flux"),
        ({"error": ONES * units.nJy}, "flux has no unit"),
        ({"flux": ONES * units.nJy, "error": ONES * units.K}, "error.*K"),
        ({"flux": ONES[:5]}, "shapes"),
        ({"mask": np.zeros(5, int)}, "shapes"),
        ({"flux": np.array(["bright"] * 6)}, "text"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(changed, words):
    with pytest.raises(DataError, match=words):
        Observed(**({"wave": WAVE, "flux": ONES} | changed))


def test_whatever_carries_spectra_is_observed(toy_bank):
    """A batch, its rows and a file's spectrum; their arrays are not copied."""
    batch = observe(toy_bank, draw_stars(toy_bank, Prior.default(), 1, "test", np.arange(3)))
    assert isinstance(batch, Observed)
    assert issubclass(SpectrumBatch, Observed)
    assert issubclass(PfsObject, Observed)
    assert batch.usable.all()
    row = batch[1]
    assert np.shares_memory(row.flux, batch.flux)
    assert row.flux.shape == row.usable.shape == (toy_bank.wave.size,)
    assert batch["error"] is batch.error
    assert "usable" in repr(row)


def test_a_shift_to_rest_moves_lines_and_what_is_unusable():
    """A Gaussian line of width 2 pixels comes back to 1e-3 of its depth; ends and gaps do not."""
    wave = 8000.0 + 0.4 * np.arange(400)
    stretch = np.sqrt((1 + 150 / 299792.458) / (1 - 150 / 299792.458))

    def line(at):
        return 1.0 - 0.6 * np.exp(-0.5 * ((at - 8080.0) / 0.8) ** 2)

    mask = np.zeros(400, np.int64)
    mask[50] = 1 << 40
    moved = Observed(wave, line(wave / stretch) / stretch, 0.1 * np.ones(400), mask)
    rest = shift_to_rest(moved, 150.0)
    good = rest.usable
    np.testing.assert_allclose(rest.flux[good], line(wave)[good], atol=6e-4)
    assert rest.error[good] == pytest.approx(0.1, rel=1e-3)
    # 4.04 Å are 10.1 pixels: the red end is lost, and both that lean on the flagged pixel
    assert np.flatnonzero(~good).tolist() == [39, 40, *range(389, 400)]
    assert shift_to_rest(moved, 0.0) is moved
    with pytest.raises(DataError, match="4000 km/s"):
        shift_to_rest(moved, 4000.0)
