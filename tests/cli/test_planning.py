"""``specsim instrument`` and ``specsim snr``: what to expect of an observation."""

import json
from functools import partial

import pytest

from starsmith.simulator.instruments import compare_with_etc, list_instruments, load_instrument
from tests.cli.conftest import call

ETC = "etc_mr_i21.5_za35_fa0.45_see0.8.csv"


def test_list_and_show_state_the_files_own_figures(tmp_path):
    """The figures shown are those of the file, and those of a copy of it the same."""
    listed = call("specsim instrument list").stdout
    shown = json.loads(call("specsim instrument show pfs_mr --json").stdout)
    text = call("specsim instrument show pfs_mr").stdout
    folder = load_instrument("pfs_mr").folder
    copy = tmp_path / "copy.toml"
    copy.write_text((folder / "pfs_mr.toml").read_text().replace('name = "pfs_mr"', 'name = "my"'))
    mine = json.loads(call("specsim instrument show --json", copy).stdout)

    assert all(f"| {name} " in listed for name in list_instruments())
    assert shown["figures"]["arms"]["red-mr"]["read_noise_electron"] == 4.0
    assert [shown["resolution"][k] for k in (0, 2)] == [5301.0, 6522.0]  # the calculator's
    assert mine["name"] == "my"
    assert mine["figures"]["arms"] == shown["figures"]["arms"]
    assert "camera_focal_ratio" in text


def test_validate_prints_and_draws_the_librarys_comparison(shared_data, tmp_path):
    csv = shared_data / "instrument" / ETC
    figure = tmp_path / "etc.png"

    done = call("specsim instrument validate --json --against", csv, "--plot", figure)

    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    expected = compare_with_etc(load_instrument("pfs_mr"), csv).summary()
    assert {name: found[name] for name in expected} == expected
    assert found["settings"]["mag"] == 21.5
    assert figure.stat().st_size > 20_000
    text = call("specsim instrument validate --against", csv).stdout
    assert f"snr_ratio             {expected['snr_ratio']:g}" in text


def test_snr_prints_and_draws_the_librarys_forecast(tmp_path):
    """The calculator's 6.42 per pixel at AB 21.5, as a table, as JSON and as a figure."""
    line = "specsim snr --mag 21-22 --seeing 0.8 --zenith-angle 35 --field-angle 0.45"
    figure = tmp_path / "snr.png"

    found = json.loads(call(line, "--json").stdout)
    done = call(line, "--plot", figure)

    assert [row["mag"] for row in found["rows"]] == [21.0, 21.5, 22.0]
    assert found["rows"][1]["snr_pixel"] == pytest.approx(6.42, rel=0.02)
    assert found["conditions"]["exp_count"] == 12
    assert done.exit_code == 0, done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert head.split("|")[1].strip() == "mag"
    assert len(rows) == 3
    assert f"{found['rows'][1]['snr_pixel']:.3f}" in rows[1]
    assert figure.stat().st_size > 20_000
    moonlit = json.loads(call(line, "--moon-phase", 0.5, "--json").stdout)["rows"]
    assert all(m["snr_pixel"] < d["snr_pixel"] for m, d in zip(moonlit, found["rows"], strict=True))
    # 1.65 against a dark continuum of 0.33 photon/s/m²/arcsec²/nm, and some lines
    assert all(3 < row["moon"] / row["sky"] < 5 for row in moonlit)
    assert found["rows"][0]["moon"] == 0.0


def test_snr_of_all_arms(tmp_path):
    """A row per arm, drawn; a disc of 0.3 arcsec loses light in every one."""
    figure = tmp_path / "lr.png"
    line = "specsim snr --instrument r+n --mag 21 --sed blackbody:4500"
    done = call(f"{line} --reff 0.3 --json --plot", figure)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["arm"] for row in found["rows"]] == ["red", "nir"]
    assert found["sed"] == "blackbody:4500"
    assert figure.stat().st_size > 20_000
    star = json.loads(call(line, "--json").stdout)
    assert all(
        disc["snr_pixel"] < point["snr_pixel"]
        for disc, point in zip(found["rows"], star["rows"], strict=True)
    )


def test_an_imported_calculator_is_exact(shared_data, tmp_path):
    """Import, validate: every pixel within the bounds, drawn."""
    out, figure = tmp_path / "mine.toml", tmp_path / "etc.png"
    done = call("specsim instrument import --json --out", out, shared_data / "instrument")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["arms"] == ["red-mr"]
    assert all((tmp_path / name.split("/")[-1]).is_file() for name in report["files"])
    csv = shared_data / "instrument" / ETC
    validate = partial(call, "specsim instrument validate --json --instrument", out)
    found = json.loads(validate("--against", csv, "--plot", figure).stdout)
    assert found["agreement"] == "exact"
    assert found["signal_worst"] < 1e-3
    assert found["noise_worst"] < 2e-3
    assert figure.stat().st_size > 20_000
    other = json.loads(validate("--against", csv, "--seeing", 1.0).stdout)
    assert other["settings"]["seeing"] == 1.0
    assert other["agreement"] == "none"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("specsim instrument show hubble", "neither built in"),
        ("specsim instrument show FILE", "not valid TOML"),
        ("specsim instrument validate", "--against"),
        ("specsim instrument validate --against nowhere.csv", "does not exist"),
        ("specsim instrument validate --against FILE", "expected output of the ETC"),
        ("specsim snr --mag 22-20", "did you mean"),
        ("specsim snr --mag 20..1e9", "not a range"),
        ("specsim snr --mag 0..1000 --mag-step 0.01", "larger steps"),
        ("specsim snr --seeing 0.1", "seeing"),
        ("specsim snr --seeing nan", "seeing"),
        ("specsim snr --exp-time -3", "exp_time"),
        ("specsim snr --exp-count 2.5", "out of range"),
        ("specsim snr --zenith-angle 80", "zenith_angle"),
        ("specsim snr --moon-phase 2", "moon_phase"),
        ("specsim snr --instrument hubble", "neither built in"),
        ("specsim snr --plot x.doc", "figures are written as"),
        ("specsim snr --sed nowhere.csv", "no table there"),
        ("specsim snr --sed FILE", "tables are read from"),
        ("specsim snr --sed blackbody:hot", "blackbody:KELVIN"),
        ("specsim snr --instrument b++n", "empty name"),
        ("specsim snr --instrument r+r", "different names"),
        ("specsim instrument import . --out mine.toml", "no PFS.redMR"),
        ("specsim instrument import FILE --out mine.toml", "FILE"),
        ("specsim instrument validate --against FILE --plot x.doc", "figures are written as"),
    ],
)
def test_bad_calls_are_refused_in_one_line(line, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_bytes(b"\xff not a table \x00\n1,2\n")

    done = call(line)

    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]
