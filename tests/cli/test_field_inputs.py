"""Files as users have them: every one gives the value it means, or is refused by name."""

import json

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from starsmith.learners import fit, load_checkpoint, predict_spectrum
from starsmith.learners.recipe import RidgeRecipe
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.planning.sed import read_sed
from tests.cli.conftest import call

BAD = slice(3190, 3310)  # of star_ivar0 and star_mask_bit40


@pytest.fixture(scope="module")
def field(shared_data):
    """Folder of inputs; tests skip without it."""
    folder = shared_data / "field"
    if not folder.is_dir():
        pytest.skip(f"no inputs in {folder}")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A linear model on the pixels of pfs_mr: how well it knows stars is not the matter here."""
    wave = load_instrument("pfs_mr").wave
    rng = np.random.default_rng(4)
    logg = rng.uniform(1.0, 5.0, 60)
    lines = np.exp(-0.5 * ((wave[:, None] - np.linspace(7200, 8800, 40)) / 1.5) ** 2).sum(axis=1)
    flux = (1.0 - 0.1 * logg[:, None] * lines) * (wave / 8000.0) ** rng.normal(0, 1, (60, 1))
    flux = (flux + 0.02 * rng.standard_normal(flux.shape)).astype(np.float32)
    error = np.full(flux.shape, 0.02, np.float32)

    def part(name, rows):
        def observe(some=None, epoch=None):
            chosen = rows[slice(None) if some is None else some]
            return SpectrumView(wave=wave, flux=flux[chosen], error=error[chosen])

        return TrainingSplit(
            name=name, wave=wave, label_names=("logg",), labels=logg[rows, None],
            snr=np.full(rows.size, 50.0), index=rows, fresh_noise=False, observe=observe,
            load=lambda: None,
        )  # fmt: skip

    rows = np.arange(60)
    view = TrainingView(
        train=part("train", rows[:40]), val=part("val", rows[40:]), digest="d" * 64, notice=""
    )
    out = tmp_path_factory.mktemp("model") / "ridge"
    fit("ridge", view, "logg", RidgeRecipe(penalties=(1e-1,)), out)
    return out


def label(model, path, *options):
    done = call("speclearn predict --json", model, path, *options)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["predictions"][0]["value"]


def snr(*options):
    done = call("specsim snr --mag 21.5 --json", *options)
    assert done.exit_code == 0, done.stderr
    return [row["snr_pixel"] for row in json.loads(done.stdout)["rows"]]


@pytest.mark.parametrize("name", ["star_nm_nJy.fits", "star_good.fits.gz"])
def test_units_and_packing_change_no_label(model, field, name):
    """In nm and nJy, or packed: the labels of the same star in Å and f_λ."""
    assert label(model, field / name) == pytest.approx(
        label(model, field / "star_good.fits"), abs=1e-3
    )


@pytest.mark.parametrize("name", ["star_ivar0.fits", "star_mask_bit40.fits"])
def test_pixels_without_light_are_left_out(model, field, name):
    """Inverse variance 0, or bit 40 over 50 times the flux: as the good star with them masked."""
    good = read_spectrum(field / "star_good.fits")
    mask = np.zeros(good.flux.size, bool)
    mask[BAD] = True
    (expected,) = predict_spectrum(load_checkpoint(model), good.wave, good.flux, good.error, mask)
    assert label(model, field / name) == pytest.approx(expected.value, abs=1e-4)


def test_a_star_that_is_all_masked_is_refused(model, field):
    done = call("speclearn predict", model, field / "star_all_masked.fits")
    assert done.exit_code == 2
    assert "no usable pixel" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "instrument", "expected"),
    [
        ("sed_flat_Jy.ecsv", "r+n", [9.592, 2.309]),
        ("sed_full.csv", "pfs_mr", [6.420]),
    ],
)
def test_a_flat_source_in_any_unit_is_a_flat_source(field, name, instrument, expected):
    assert snr("--instrument", instrument, "--sed", field / name) == pytest.approx(
        expected, rel=1e-3
    )


def test_blank_cells_of_a_source_are_refused_by_name(field):
    done = call("specsim snr --mag 21.5 --sed", field / "sed_blank_cells.csv")
    assert done.exit_code == 2
    assert "'flux'" in done.stderr
    assert "row 902" in done.stderr


def widths(sed, flux):
    """Equivalent widths of 12 lines, each over the 4.9 Å that are its own [Å]."""
    instrument = load_instrument("pfs_mr")
    step = instrument.arm.dispersion_nm * 10
    excess = (
        flux / np.interp(instrument.wave, sed.wave[[0, -1]], sed.values[[0, -1]]) - 1.0
    ) * step
    start = 8004.0 - 2.45 + 4.9 * np.arange(12)
    return [excess[(instrument.wave > s) & (instrument.wave <= s + 4.9)].sum() for s in start]


def test_narrow_lines_of_a_source_keep_their_width(field):
    """EW 0.25 Å to 1 %, wherever in a pixel a line falls; no pixel above 1.6 continua."""
    instrument = load_instrument("pfs_mr")
    sed = read_sed(field / "sed_narrow_lines.csv", "ab8000")
    for flux in (sed.on(instrument), sed.flux(instrument.wave)):
        np.testing.assert_allclose(widths(sed, flux), 0.25, rtol=0.01)
        assert flux.max() / sed.values[0] < 1.6
    assert sed.on(instrument).max() < sed.flux(instrument.wave).max()


@pytest.mark.parametrize("name", ["population_logg_si.ecsv", "population_bom.csv"])
def test_populations_of_any_unit_and_encoding_draw_the_same_stars(field, bank_file, tmp_path, name):
    """Log g in dex(m/s2) and a byte-order mark: the stars of the plain table."""
    found = {}
    for table in ("population_plain.csv", name):
        out = tmp_path / f"{table}.zarr"
        done = call(
            "specsim generate -n 20 --seed 1 --workers 1",
            *("--bank", bank_file, "--population", field / table, "--out", out),
        )
        assert done.exit_code == 0, done.stderr
        found[table] = open_dataset(out).split("train").labels
    logg = found[name][:, 1]
    assert logg.min() >= 3.2
    assert logg.max() <= 4.8
    np.testing.assert_allclose(found[name], found["population_plain.csv"], rtol=1e-12)


def test_an_unpacked_archive_file_is_imported(field, tmp_path):
    done = call("specsim grid import", field / "bosz2024_unzipped", "--out", tmp_path / "g.zarr")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("1 model")


def test_a_pfs_file_gives_the_label_of_its_row(bank_file, tmp_path):
    """Exported and read back: the label that the data set's row has, in an arm called m."""
    data, out, model = (tmp_path / name for name in ("data.zarr", "pfs", "ridge"))
    made = call("specsim generate -n 300 --seed 2 --workers 1", "--bank", bank_file, "--out", data)
    assert made.exit_code == 0, made.stderr
    assert call("speclearn train --model ridge --target logg", data, "--out", model).exit_code == 0
    assert call("specsim export --format pfs --rows 0:3", data, "--out", out).exit_code == 0
    rows = json.loads(call("speclearn predict --json", model, data).stdout)["predictions"]
    for index, path in enumerate(sorted(out.glob("pfsObject-*"))):
        # float32 nJy and back, and a sum in another order
        assert label(model, path) == pytest.approx(rows[index]["logg"], abs=1e-4)
        arms = Table.read(path, hdu="OBSERVATIONS")["arm"]
        assert {str(arm) for arm in arms} == {"m"}


@pytest.mark.parametrize("kind", ["fits", "ecsv", "csv"])
def test_a_source_with_a_narrow_line_in_any_unit(tmp_path, kind):
    """Synthetic: a line of 0.1 Å width in nm and uJy has the width it has in Å and f_λ."""
    wave = np.sort(np.concatenate([np.arange(6000.0, 10000.0, 5.0), np.arange(7990, 8010, 0.02)]))
    wave = np.unique(wave)
    flux = 1.0 + 2.0 * np.exp(-0.5 * ((wave - 8000.3) / 0.1) ** 2)
    cgs = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    seen = (flux * cgs).to(units.uJy, units.spectral_density(wave * units.AA))
    path = tmp_path / f"line.{kind}"
    if kind == "csv":
        Table({"wave [nm]": wave / 10, "flux (uJy)": seen.value}).write(path)
    else:
        Table({"WAVELENGTH": (wave * units.AA).to(units.nm), "Flux": seen}).write(path)
    sed, instrument = read_sed(path, "ab8000"), load_instrument("pfs_mr")
    near = np.abs(instrument.wave - 8000.3) < 6.0
    excess = (sed.on(instrument) / sed.values[0] - 1.0)[near].sum() * instrument.arm.dispersion_nm
    assert 10 * excess == pytest.approx(2.0 * np.sqrt(2 * np.pi) * 0.1, rel=0.01)
