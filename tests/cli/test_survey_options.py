"""Noise terms, populations, dust, presets and exports from the command line."""

import json

import numpy as np
import pytest
from astropy.table import Table

from starsmith.cli import specsim
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.exchange.pfs_files import read_pfs_object
from starsmith.data_contract.noise import NoiseModel

NOISY = (
    "--sky-floor", "correlated", "--telluric-residual", "0.1", "--flux-calibration", "0.05",
    "--counts", "poisson", "--cosmic-rays", "0.5", "--seeing-drift", "0.1", "--zenith-drift", "3",
    "--seeing", "0.6-1.4",
)  # fmt: skip


@pytest.fixture(scope="module")
def bank_file(toy_bank, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "toy.zarr"
    toy_bank.save(path)
    return path


@pytest.fixture
def run(capsys):
    """Run specsim in this process; returns exit code, stdout, stderr."""

    def call(*args):
        args = (*args, "--workers", 1) if args[0] == "generate" else args
        with pytest.raises(SystemExit) as ended:
            specsim.main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


def test_noise_for_the_sky_is_one_option_and_given_terms_stay(run, bank_file, tmp_path):
    """Sky, tellurics and calibration are on; the data set records them."""
    out = tmp_path / "sky.zarr"
    options = ("--bank", bank_file, "-n", 10, "--out", out, "--telluric-residual", "0.1")
    assert run("generate", *options, "--for-sky")[0] == 0
    noise = open_dataset(out).header.noise_terms
    assert noise == NoiseModel(sky_floor="correlated", telluric_residual=0.1, flux_calibration=0.03)


@pytest.fixture
def catalogue(tmp_path):
    """A table of stars on the toy grid."""
    rng = np.random.default_rng(0)
    table = Table(
        {
            "teff": rng.uniform(4000, 5900, 30),
            "logg": rng.uniform(1.2, 4.8, 30),
            "m_h": rng.uniform(-2, 0.5, 30),
            "mag": rng.uniform(20, 22, 30),
        }
    )
    table.write(tmp_path / "stars.ecsv")
    return tmp_path / "stars.ecsv"


def test_views_of_a_noiseless_store_equal_a_frozen_one(run, bank_file, tmp_path):
    """Noise terms are recorded, so computing on read gives what was frozen when written.

    A frozen store keeps 10 mantissa bits of its flux, 2^-11, and 7 of its error, 2^-8. Masks
    are the same to the bit.
    """
    for store in ("noiseless", "frozen"):
        out = tmp_path / f"{store}.zarr"
        options = ("--bank", bank_file, "-n", 40, "--store", store, "--out", out, *NOISY)
        assert run("generate", *options)[0] == 0
        assert verify_dataset(out).ok
    read, frozen = (
        open_dataset(tmp_path / f"{s}.zarr").split("test") for s in ("noiseless", "frozen")
    )
    seen, kept = read.observe(), frozen.observe()
    np.testing.assert_allclose(kept.flux, seen.flux, rtol=2**-11)
    np.testing.assert_allclose(kept.error, seen.error, rtol=2**-8)
    np.testing.assert_array_equal(kept.mask, seen.mask)
    assert seen.mask.any()
    np.testing.assert_array_equal(read.snr, frozen.snr)
    assert read.header.noise_terms.counts == "poisson"


def test_a_configuration_makes_the_same_spectrum_again(run, bank_file, tmp_path):
    """The TOML file beside a data set is enough to simulate any one of its spectra."""
    out = tmp_path / "data.zarr"
    assert run("generate", "--bank", bank_file, "-n", 40, "--out", out, *NOISY)[0] == 0
    table = tmp_path / "one.ecsv"
    options = ("--config", f"{out}.toml", "--split", "val", "--index", 2, "--out", table)
    figure, singles = tmp_path / "noise.png", tmp_path / "singles.fits"
    quiet = ("--cosmic-rays", 0, "--index", 2, "--exposures", singles, "--plot-noise", figure)
    assert run("spectrum", "--config", f"{out}.toml", *quiet)[0] == 0
    assert figure.stat().st_size > 10_000
    assert Table.read(singles)["flux"].shape == (300, 12)
    code, text, _ = run("spectrum", *options, "--json")
    assert code == 0
    seen = open_dataset(out).split("val").observe([2])
    again = Table.read(table)
    np.testing.assert_array_equal(again["flux"], seen.flux[0])
    np.testing.assert_array_equal(again["mask"], seen.mask[0])
    summary = json.loads(text)
    assert summary["snr_per_angstrom"] == pytest.approx(summary["snr"] / np.sqrt(0.43), rel=1e-6)


def test_stars_of_a_table(run, bank_file, catalogue, tmp_path):
    """Recorded with their SHA-256; a changed table does not resume; the same one does."""
    out = tmp_path / "stars.zarr"
    options = ("--bank", bank_file, "-n", 30, "--population", catalogue, "--out", out)
    assert run("generate", *options)[0] == 0
    dataset = open_dataset(out)
    table = Table.read(catalogue)
    assert np.isin(dataset.split("train").label("teff"), table["teff"]).all()
    assert dataset.header.population["rows"] == 30
    assert run("generate", *options)[0] == 0
    table["mag"] += 0.1
    table.write(catalogue, overwrite=True)
    code, _, err = run("generate", *options)
    assert code == 2
    assert "population.sha256" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sky-floor", "red"), "'red' is not one of 'independent'"),
        (("--telluric-residual", "7"), "--telluric-residual 7 is outside 0..0.5"),
        (("--cosmic-rays", "-1"), "--cosmic-rays -1 is outside 0..1"),
        (("--zenith-drift", "15"), "zenith_angle spans"),
        (("--ebv", "0.1"), "knows no dust"),
        (("--ebv", "0.3..0.1"), "0.3..0.1"),
        (("--population", "absent.ecsv"), "no population table there"),
        (("--preset", "vit"), "'vit' is not"),
    ],
)
def test_wrong_options_end_in_one_line(run, bank_file, tmp_path, options, words):
    """Exit code 2, the option named, nothing written."""
    out = tmp_path / "data.zarr"
    code, _, err = run("generate", "--bank", bank_file, "-n", 30, "--out", out, *options)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()


def test_a_label_cannot_come_from_two_places(run, bank_file, catalogue, tmp_path):
    """A table and a flag for the same label."""
    options = ("--population", catalogue, "--teff", "5000", "--out", tmp_path / "x.zarr")
    code, _, err = run("generate", "--bank", bank_file, "-n", 30, *options)
    assert code == 2
    assert "drop --teff" in err


def test_a_preset_gives_way_to_flags(run, bank_file):
    """Seeing 0.8 of the preset, unless it is typed; labels on nodes but one."""

    def summary(*more):
        options = ("spectrum", "--bank", bank_file, "--index", 3, "--json", *more)
        return json.loads(run(*options)[1])

    preset = summary("--preset", "specvit")
    assert preset["seeing"] == 0.8
    assert summary("--preset", "specvit", "--seeing", "1.1")["seeing"] == 1.1
    assert summary()["seeing"] != 0.8
    assert sum(preset[name] == summary()[name] for name in ("teff", "logg", "m_h")) == 1


def test_export_writes_pfs_files(run, bank_file, tmp_path):
    """Rows asked for, readable; wrong rows and files that are there are refused."""
    data, out = tmp_path / "data.zarr", tmp_path / "pfs"
    assert run("generate", "--bank", bank_file, "-n", 40, "--out", data)[0] == 0
    code, text, _ = run("export", data, "--rows", "1:3", "--truth", "--out", out, "--json")
    assert code == 0
    report = json.loads(text)
    assert report["n_spectra"] == 2
    files = sorted(out.glob("pfsObject*"))
    seen = open_dataset(data).split("test").observe([1])
    np.testing.assert_allclose(read_pfs_object(files[0]).flux, seen.flux[0], rtol=1e-6)
    assert list(Table.read(out / "truth.ecsv")["objId"]) == [1, 2]
    for rows, words in (("0:9", "has rows 0:4"), ("3:3", "holds no rows"), ("a", "not a range")):
        code, _, err = run("export", data, "--rows", rows, "--out", out)
        assert code == 2
        assert words in err
    code, _, err = run("export", data, "--rows", "2", "--out", out)
    assert code == 2
    assert "exists already" in err
