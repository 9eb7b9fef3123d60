"""``speclearn`` end to end on toy stars, and user spectra good and bad."""

import json

import numpy as np
import pytest
from astropy import units
from astropy.table import Table
from scipy.interpolate import CubicSpline

from starsmith.data_contract.air import vacuum_to_air
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from tests.cli.conftest import call


@pytest.fixture(scope="module")
def ridge(dataset, tmp_path_factory):
    """A trained ridge regression."""
    out = tmp_path_factory.mktemp("models") / "ridge"
    done = call("speclearn train --model ridge --target logg", dataset, "--out", out)
    assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture
def spectrum_file(bank_file, tmp_path):
    """One spectrum of the test split as an ECSV table."""
    path = tmp_path / "spec.ecsv"
    done = call(
        "specsim spectrum --split test --index 3 --seed 7", "--bank", bank_file, "--out", path
    )
    assert done.exit_code == 0, done.stderr
    return path


def test_train_says_how_good_the_model_is_and_training_again_changes_nothing(ridge, dataset):
    weights = (ridge / "model.safetensors").read_bytes()

    done = call("speclearn train --model ridge --json", dataset, "--out", ridge)
    result = json.loads(done.stdout)

    assert done.exit_code == 0, done.stderr
    assert result["schema"] == "speclearn.train"
    assert 0 < result["metrics"]["val_r2"]["logg"] < 1
    assert (ridge / "model.safetensors").read_bytes() == weights


def test_a_folder_of_another_run_is_refused(ridge, dataset):
    done = call("speclearn train --model ridge --target teff", dataset, "--out", ridge)

    assert done.exit_code == 2
    assert "overwrite" in done.stderr


def test_evaluate_scores_the_test_split(ridge, dataset, tmp_path):
    out, figure = tmp_path / "predictions.ecsv", tmp_path / "scores.png"
    files = ("--out", out, "--plot", figure)

    done = call("speclearn evaluate --json --snr-bins 0,5,inf", ridge, dataset, *files)
    result = json.loads(done.stdout)
    table = Table.read(out)
    residual = table["logg"] - table["logg_true"]

    assert done.exit_code == 0, done.stderr
    assert result["split"] == "test"
    assert [b["snr_max"] for b in result["bins"]] == [5.0, None]
    r2 = 1 - np.mean(residual**2) / np.var(table["logg_true"])
    assert result["scores"]["r2"]["value"] == pytest.approx(r2, abs=1e-9)
    assert figure.stat().st_size > 1000


def test_train_spectra_are_scored_only_when_asked_for_by_name(ridge, dataset):
    assert call("speclearn evaluate --split train", ridge, dataset).exit_code == 0


def test_a_table_of_predictions_is_not_replaced_unless_asked(ridge, dataset, tmp_path):
    out = tmp_path / "predictions.ecsv"
    out.write_text("precious")

    refused = call("speclearn evaluate", ridge, dataset, "--out", out)

    assert refused.exit_code == 2
    assert out.read_text() == "precious"
    assert call("speclearn evaluate --overwrite", ridge, dataset, "--out", out).exit_code == 0


def test_one_spectrum_from_a_file_is_predicted_as_in_the_data_set(
    ridge, dataset, spectrum_file, tmp_path
):
    out = tmp_path / "label.ecsv"

    alone = call("speclearn predict --json", ridge, spectrum_file, "--out", out)
    split = call("speclearn predict --json --split test", ridge, dataset)
    (label,) = json.loads(alone.stdout)["predictions"]
    row = json.loads(split.stdout)["predictions"][3]

    assert alone.exit_code == split.exit_code == 0
    # the file stores float32 flux in full; blocks of spectra may sum in another order
    assert label["value"] == pytest.approx(row["logg"], abs=1e-5)
    assert label["unit"] == "dex(cm s-2)"
    assert Table.read(out)["value"][0] == pytest.approx(label["value"])


def rewritten(path, change):
    """The spectrum file with its table changed by a function, as a new file."""
    table = Table.read(path)
    changed = change(table) or table
    target = path.with_name("changed.ecsv")
    changed.write(target, overwrite=True)
    return target


def in_air(table):
    table["wave"] = table["wave"] / 1.000275


def plain_nanometres(table):
    table["wave"] = np.asarray(table["wave"]) / 10


def without_flux(table):
    table.remove_column("flux")


def words(table):
    table["flux"] = np.full(len(table), "bright")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (in_air, "convert them to vacuum"),
        (plain_nanometres, "multiply them by 10"),
        (without_flux, "'flux'"),
        (words, "'flux' is not usable"),
    ],
)
def test_a_spectrum_that_cannot_be_used_is_refused_with_the_remedy(
    ridge, spectrum_file, change, says
):
    done = call("speclearn predict", ridge, rewritten(spectrum_file, change))

    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_wavelengths_with_a_unit_are_converted(spectrum_file):
    """A table that says it is in nanometres is understood."""

    def to_nm(table):
        table["wave"] = table["wave"].quantity.to(units.nm)

    original, converted = read_spectrum(spectrum_file), read_spectrum(
        rewritten(spectrum_file, to_nm)
    )  # fmt: skip

    # conversion there and back is two roundings of float64
    np.testing.assert_allclose(converted["wave"], original["wave"], rtol=1e-15)


def test_missing_entries_are_masked(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("wave,flux\n8500,1.0\n8501,\n8502,0.9\n")

    np.testing.assert_array_equal(read_spectrum(path)["mask"], [0, 1, 0])


@pytest.mark.filterwarnings("ignore:.*:astropy.io.fits.verify.VerifyWarning")
@pytest.mark.parametrize("content", [b"", b"\x00\x01\xff" * 50, b"SIMPLE  =  T", b"a b\n1\n2 3\n"])
@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits", ".txt"])
def test_rubbish_files_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"rubbish{suffix}"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"rubbish\."):
        read_spectrum(path)


def test_models_lists_what_can_be_trained():
    listed = call("speclearn models").stdout.split()

    assert {"ridge", "lightgbm", "specvit"} <= set(listed)
    assert call("speclearn models specvit*").stdout.split() == [
        name for name in listed if name.startswith("specvit")
    ]


def test_predictions_say_what_is_wrong_with_them(ridge, spectrum_file):
    """A flag is in the row and a sentence on stderr; --strict makes it exit with 3."""

    def reversed_in_part(table):
        table["flux"] = table["flux"][::-1]

    good = call("speclearn predict --json --rv 0", ridge, spectrum_file)
    (row,) = json.loads(good.stdout)["predictions"]
    changed = rewritten(spectrum_file, reversed_in_part)
    told = call("speclearn predict --json", ridge, changed)
    strict = call("speclearn predict --strict", ridge, changed)

    assert {"quality", "flags"} <= set(row)
    assert "unknown_velocity" not in row["flags"]
    (odd,) = json.loads(told.stdout)["predictions"]
    assert odd["quality"] > 0
    assert told.exit_code == 0
    for name in odd["flags"].split():
        assert f"quality: {name}: " in told.stderr
    assert strict.exit_code == 3
    assert "logg" in strict.stdout
    assert "--strict" in strict.stderr


def test_air_and_velocity_are_of_spectra(ridge, dataset, spectrum_file):
    """Air is converted; a data set knows both by itself; odd velocities are refused."""

    def exactly_in_air(table):
        table["wave"] = vacuum_to_air(np.asarray(table["wave"]))
        table.meta.pop("medium")

    plain = json.loads(call("speclearn predict --json --rv 0", ridge, spectrum_file).stdout)
    air = rewritten(spectrum_file, exactly_in_air)
    converted = json.loads(call("speclearn predict --json --rv 0 --air", ridge, air).stdout)
    assert converted["predictions"][0]["value"] == plain["predictions"][0]["value"]
    assert call("speclearn predict", ridge, air).exit_code == 2
    for option in ("--air", "--rv 10"):
        assert call(f"speclearn predict {option}", ridge, dataset).exit_code == 2
    assert call("speclearn predict --rv 1e5", ridge, spectrum_file).exit_code == 2


def test_many_spectra_of_a_survey_come_out_as_one_table(ridge, shared_data, tmp_path):
    """A DESI coadd: five stars on other pixels, a row each, and a line each on stderr."""
    coadd = shared_data / "surveys" / "desi" / "coadd-sv3-dark-26065.fits"
    out = tmp_path / "labels.ecsv"
    done = call("speclearn predict", ridge, coadd, "--out", out)
    assert done.exit_code == 0, done.stderr
    table = Table.read(out)
    lines = done.stderr.splitlines()
    refused = [line for line in lines if line.startswith("left out: ")]
    assert len(table) + len(refused) == 5
    assert len(set(table["spectrum"])) == len(table)
    assert sum("resampled (" in line for line in lines) == len(table)
    assert all("unknown_resolution" in flags for flags in table["flags"])  # of the toy bank


def test_a_table_on_other_pixels_is_brought_to_the_model(ridge, spectrum_file, tmp_path):
    """In air, every third of an ångström, in nJy: the label of the plain table."""
    plain = json.loads(call("speclearn predict --json --rv 0", ridge, spectrum_file).stdout)
    table = Table.read(spectrum_file)
    wave = np.arange(8501.0, 8628.0, 1 / 3)
    columns = {
        name: CubicSpline(table["wave"], table[name])(wave)
        * units.Unit("1e-17 erg/(s cm2 Angstrom)")
        for name in ("flux", "error")
    }
    density = units.spectral_density(wave * units.AA)
    other = Table({name: column.to(units.nJy, density) for name, column in columns.items()})
    other["wave"] = vacuum_to_air(wave) * units.AA
    other.meta["medium"] = "air"
    other.write(tmp_path / "other.ecsv")
    done = call("speclearn predict --json --rv 0", ridge, tmp_path / "other.ecsv")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["predictions"]
    assert row["value"] == pytest.approx(plain["predictions"][0]["value"], abs=0.1)  # interpolation
    assert "resampled (quintic) to 300 pixels" in done.stderr


def test_exported_spectra_come_back_with_the_labels_of_their_rows(ridge, dataset, tmp_path):
    """PfsObject files, and a data set ingested from them: noise of float32 and nJy, no more."""
    done = call("specsim export --rows 0:6", dataset, "--out", tmp_path / "pfs")
    assert done.exit_code == 0, done.stderr
    split = json.loads(call("speclearn predict --json", ridge, dataset).stdout)["predictions"]
    expected = [row["logg"] for row in split[:6]]
    files = sorted((tmp_path / "pfs").glob("pfsObject*.fits"))
    alone = [json.loads(call("speclearn predict --json", ridge, f).stdout) for f in files]
    found = [one["predictions"][0]["value"] for one in alone]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    ingested = call(
        "specdata ingest pfs --labels none --splits 0,0,1", tmp_path / "pfs",
        "--out", tmp_path / "pfs.zarr",
    )  # fmt: skip
    assert ingested.exit_code == 0, ingested.stderr
    rows = json.loads(call("speclearn predict --json", ridge, tmp_path / "pfs.zarr").stdout)
    found = [row["logg"] for row in rows["predictions"]]
    np.testing.assert_allclose(found, expected, atol=0.1)  # a velocity may be measured
