"""``specdata ingest`` and its companions as they are typed."""

import json

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from tests.cli.conftest import call
from tests.data_contract.surveys import written


@pytest.fixture
def stars(tmp_path):
    """A coadd, and a table of its stars."""
    written.desi(tmp_path / "coadd.fits", 12)
    rows = [f"{39627866878511337 + k},{5000 + k},2.5,-1" for k in range(12)]
    (tmp_path / "stars.csv").write_text("\n".join(["targetid,teff,logg,feh", *rows]))
    return tmp_path


def test_from_a_file_to_a_verified_data_set(stars):
    out = stars / "d.zarr"
    line = ("--catalogue", stars / "stars.csv", "--out", out, "--splits", "50,25,25")
    done = call("specdata ingest desi", stars / "coadd.fits", *line)
    assert done.exit_code == 0, done.stderr
    assert "12 spectra; teff, logg, m_h" in done.stdout
    assert call("specdata verify", out).exit_code == 0
    assert "# 12 observed spectra: desi" in call("specdata info", out).stdout
    leak = call("specdata check-leakage", out, stars / "stars.csv")
    assert leak.exit_code == 3
    assert "12 spectra" not in leak.stdout  # split by split
    again = call("specdata ingest desi", stars / "coadd.fits", *line, "--json")
    assert json.loads(again.stdout)["spectra"] == 12
    other = call("specdata ingest desi", stars / "coadd.fits", "--out", out, "--labels", "none")
    assert other.exit_code == 2
    assert "another run" in other.stderr


def test_info_says_how_a_file_is_ingested(stars):
    said = json.loads(call("specdata info", stars / "coadd.fits", "--json").stdout)
    assert (said["kind"], said["survey"], said["spectra"]) == ("spectra", "desi", 12)
    assert said["ingest"].startswith("specdata ingest desi")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("specdata ingest nobody", "survey 'nobody' is not one of desi"),
        ("specdata ingest lamost", "read it as desi"),
        ("specdata ingest desi --labels hot", "--labels hot"),
        ("specdata ingest desi --wave 3", "start:stop:step"),
        ("specdata ingest desi --splits 1,2", "shares of train, val and test"),
        ("specdata ingest desi --split-by plate", "give --catalogue"),
        ("specdata ingest desi --labels none --stratify teff", "--stratify teff"),
    ],
)
def test_wrong_calls_are_one_line(stars, words, said):
    done = call(words, stars / "coadd.fits", "--out", stars / "d.zarr")
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert not (stars / "d.zarr").exists()


def test_tables_are_matched_cut_and_joined(stars):
    table = stars / "stars.csv"
    pairs = call("specdata crossmatch", table, table, "--out", stars / "p.ecsv")
    assert "12 pairs by targetid; in several pairs: 0 rows" in pairs.stdout
    cut = call("specdata select --recipe specvit_desi", table, "--out", stars / "s.csv")
    assert cut.stdout.splitlines()[0].split() == ["all", "rows", "12"]
    joined = call("specdata compile-labels", table, stars / "s.csv", "--out", stars / "l.ecsv")
    assert "12 stars" in joined.stdout


def test_an_exported_object_comes_back_with_the_labels_of_its_row(dataset, tmp_path):
    line = "specsim export --format pfs --split test --rows 0:3"
    assert call(line, dataset, "--out", tmp_path / "pfs").exit_code == 0
    out = tmp_path / "back.zarr"
    words = ("--catalogue", dataset, "--splits", "1,0,0", "--out", out)
    done = call("specdata ingest pfs", tmp_path / "pfs", *words)
    assert done.exit_code == 0, done.stderr
    ours, back = open_dataset(dataset).split("test"), open_dataset(out).split("train")
    seen, view = ours.observe(slice(0, 3)), back.observe()
    names = [name.split()[1] for name in back.names]
    for row in range(3):
        k = names.index(f"2-{row}")
        assert back.labels[k].tolist() == ours.labels[row].tolist()
        np.testing.assert_allclose(view.flux[k], seen.flux[row], rtol=1e-6, atol=1e-4)


def test_observed_stars_lie_where_their_survey_says(shared_data, stars):
    lsdb = pytest.importorskip("lsdb", reason="the extra exchange is not installed")
    out = stars / "d.zarr"
    line = ("--labels", "none", "--splits", "1,0,0", "--out", out)
    real = shared_data / "surveys/desi/coadd-sv3-dark-26065.fits"
    assert call("specdata ingest desi", real, *line).exit_code == 0
    done = call("specsim export --format hats --split train --out", stars / "sky", out)
    assert done.exit_code == 0, done.stderr
    found = lsdb.open_catalog(stars / "sky").compute().set_index("object_id")
    assert set(found["place"]) == {"recorded"}
    split = open_dataset(out).split("train")
    for name in ("ra", "dec"):
        of_star = dict(zip(split.column("source_id"), split.column(name), strict=True))
        assert found[name].to_dict() == of_star


def test_observed_spectra_are_torchs_too(stars):
    torch_data = pytest.importorskip("starsmith.learners.torch_data")
    out = stars / "d.zarr"
    call("specdata ingest desi", stars / "coadd.fits", "--labels", "none", "--out", out)
    item = torch_data.SpectrumDataset(open_dataset(out).split("train"))[0]
    assert item["flux"].shape == item["error"].shape == (120,)


def test_what_needs_a_bank_says_that_there_is_none(stars):
    out = stars / "d.zarr"
    words = ("--catalogue", stars / "stars.csv", "--splits", "50,25,25", "--out", out)
    assert call("specdata ingest desi", stars / "coadd.fits", *words).exit_code == 0
    for line in ("specdata repair", "specdata verify --remake", "speclearn train --model template"):
        done = call(line, out, *(("--out", stars / "m") if "train" in line else ()))
        assert done.exit_code == 2, line
        assert "come from no bank" in done.stderr
    assert call("specsim export --format pfs --out", stars / "pfs", out).exit_code == 2
    for store in ("keys", "noiseless", "frozen"):
        done = call("specdata convert --store", store, out, stars / "k.zarr")
        assert done.exit_code == 2
        assert "observed spectra have one store" in done.stderr


def test_repeated_spectra_tell_whether_errors_are_right(stars):
    """Noise as stated, then twice of it; another slope of the flux is no error."""
    for name, factor in (("right", 1.0), ("wrong", 2.0)):
        folder = stars / name
        folder.mkdir()
        for night in (0, 1):
            written.desi(folder / f"coadd{night}.fits", 12)
            draw = np.random.default_rng([night, 5])
            with written.fits.open(folder / f"coadd{night}.fits", mode="update") as file:
                for arm in "BRZ":
                    flux = file[f"{arm}_FLUX"].data
                    tilt = 10.0 + 0.02 * night * (file[f"{arm}_WAVELENGTH"].data - 5000.0)
                    noise = 0.1 * factor * draw.standard_normal(flux.shape)
                    file[f"{arm}_FLUX"].data = (tilt + noise).astype("f4")
        out = stars / f"{name}.zarr"
        done = call("specdata ingest desi", folder, "--labels", "none", "--out", out)
        assert done.exit_code == 0, done.stderr
        found = json.loads(call("specdata repeats", out, "--json").stdout)
        assert len(found["pairs"]) == 12
        assert found["width"] == pytest.approx(factor, rel=0.15)
    assert "12 pairs; median width" in call("specdata repeats", out).stdout
    call(
        "specdata ingest desi", stars / "coadd.fits", "--labels", "none", "--out", stars / "1.zarr"
    )
    assert "no star has two spectra" in call("specdata repeats", stars / "1.zarr").stdout


def test_simulated_spectra_have_no_repeats(dataset):
    done = call("specdata repeats", dataset)
    assert done.exit_code == 2
    assert "give observed ones" in done.stderr
