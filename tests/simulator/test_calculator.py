"""Every arm against the exposure-time calculator's equations, at many settings."""

from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.view import background, sensitivity
from starsmith.simulator.instruments import (
    compare_with_etc,
    import_calculator,
    load_instrument,
    noise_tables,
    with_source,
)
from starsmith.simulator.instruments.pfs_etc.validate import flat_flux
from starsmith.simulator.rendering.render import render_bank
from tests.reference.etc import Arm
from tests.simulator.test_render import make_grid, star

ARMS = {
    "pfs_b": ("PFS.20240714.dat", 0),
    "pfs_r": ("PFS.20240714.dat", 1),
    "pfs_mr": ("PFS.redMR.20240714.dat", 1),
    "pfs_n": ("PFS.20240714.dat", 2),
}
N_SETTING = 3
SWEEP = [
    pytest.param(name, marks=() if name == "pfs_mr" else pytest.mark.slow) for name in ARMS
]  # the other arms take the same paths


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "instrument"


@pytest.fixture(scope="module")
def imported(folder, tmp_path_factory):
    """Instruments from the calculator's own files, by the name of the built-in one."""
    out = tmp_path_factory.mktemp("imported")
    low, _ = import_calculator(folder, out / "lr.toml", mode="lr")
    medium, _ = import_calculator(folder, out / "mr.toml", mode="mr")
    return dict(zip(("pfs_b", "pfs_r", "pfs_n"), low.by_arm, strict=True)) | {"pfs_mr": medium}


@pytest.fixture(scope="module")
def twins(folder):
    with np.load(folder / "pfs_etc_modeldata.npz") as tables:
        loaded = dict(tables)
    return {name: Arm(folder / config, loaded, k) for name, (config, k) in ARMS.items()}


def settings(seed):
    """The range observers use: a source of 20.5-22.5 mag, a star or a small disc, anywhere."""
    rng = np.random.default_rng(seed)
    corners = [(20.5, 0.5, 0.0, 0.0, 0.0, 0.0), (22.5, 1.5, 45.0, 0.65, 0.5, 0.6)]
    for k in range(N_SETTING):
        inside = rng.uniform((20.5, 0.5, 0, 0, 0, 0), (22.5, 1.5, 45, 0.65, 0.5, 0.6))
        inside[5] *= k % 2  # every other source is a star
        yield corners[k] if k < len(corners) else tuple(float(x) for x in inside)


def ours_and_theirs(instrument, twin, setting):
    """Signal, noise and coadded S/N of 12 x 900 s, ours and the twin's."""
    mag, seeing, zenith, field, offset, reff = setting
    one = with_source(instrument, reff, offset)
    tables = noise_tables(one)
    conditions = np.array([[seeing, zenith, field, 90.0, 90.0, 0.0, 900.0, 12.0]])
    star = one.arm.wave_nm + one.arm.star_shift_pixel * one.arm.dispersion_nm
    signal = (sensitivity(tables, conditions) * flat_flux(10 * star, mag))[0]
    noise = background(tables, conditions)[0]
    their_signal = twin.signal(mag, seeing, zenith, field, offset, reff, 900.0)
    their_noise = twin.noise(zenith, field, 900.0, 12)

    def snr(s, n):
        return s * np.sqrt(12 / (tables.sample_factor * s + n))

    ours = signal, noise, snr(signal, noise)
    return ours, (their_signal, their_noise, snr(their_signal, their_noise))


@pytest.mark.parametrize("name", SWEEP)
def test_imported_arms_agree_in_every_pixel(imported, twins, name):
    """Signal to 1e-3 and variance to 2e-3: interpolation of the tables is all that is left."""
    for setting in settings(seed=1):
        ours, theirs = ours_and_theirs(imported[name], twins[name], setting)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=2e-3)
        assert np.median(ours[2]) == pytest.approx(np.median(theirs[2]), rel=1e-3)


@pytest.mark.parametrize("name", SWEEP)
def test_thinned_tables_agree_in_the_median_and_most_pixels(twins, name):
    """Built in: median S/N to 2 %, nine pixels of ten to 5 %, whatever the setting."""
    instrument = load_instrument(name)
    for setting in settings(seed=2):
        ours, theirs = ours_and_theirs(instrument, twins[name], setting)
        ratio = ours[2] / theirs[2]
        assert np.median(ours[2]) == pytest.approx(np.median(theirs[2]), rel=0.02)
        assert np.mean(np.abs(ratio - 1) < 0.05) > 0.90, setting


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "pfs_n" else pytest.mark.slow) for n in ARMS]
)  # both red arms have one detector: pfs_mr is held to more in every run
def test_every_arm_agrees_at_one_setting(imported, twins, name):
    """Imported tables in every pixel, built-in ones in most, far from the reference setting."""
    setting = (21.8, 1.1, 22.0, 0.21, 0.2, 0.15)
    ours, theirs = ours_and_theirs(imported[name], twins[name], setting)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=2e-3)
    thinned, _ = ours_and_theirs(load_instrument(name), twins[name], setting)
    assert np.median(thinned[2]) == pytest.approx(np.median(theirs[2]), rel=0.02)
    assert np.mean(np.abs(thinned[2] / theirs[2] - 1) < 0.05) > 0.90


def test_twin_is_the_calculator(twins, folder):
    """The rewritten equations against output of the C engine, pixel by pixel."""
    rows = (folder / "etc_mr_i21.5_za35_fa0.45_see0.8.csv").read_text().splitlines()
    rows = [row for row in rows if row[0] != "#"]
    values = np.array([row.split(",") for row in rows[1:]], dtype=float).T
    columns = dict(zip(rows[0].split(","), values, strict=True))
    twin = twins["pfs_mr"]
    signal = twin.signal(21.5, 0.8, 35.0, 0.45, 0.10, 0.0, 900.0)
    np.testing.assert_allclose(signal, columns["signal_e_per_exp"], rtol=1e-5)  # six digits
    # the file holds 0.1 % of a moonlit sky although the moon is down
    noise = twin.noise(35.0, 0.45, 900.0, 12)
    np.testing.assert_allclose(noise, columns["noise_var_noobj_e2_per_exp"], rtol=1e-3)


def test_imported_instrument_reproduces_the_calculators_output(imported, folder):
    found = compare_with_etc(imported["pfs_mr"], folder / "etc_mr_i21.5_za35_fa0.45_see0.8.csv")
    assert found.agreement == "exact"
    assert found.signal_worst < 1e-4
    assert found.noise_worst < 1e-3
    assert found.snr_ratio == pytest.approx(1.0, abs=1e-3)


def test_settings_may_be_given_beside_the_file(imported, folder):
    """At another seeing than the file's the signal differs by the aperture, the noise not."""
    csv = folder / "etc_mr_i21.5_za35_fa0.45_see0.8.csv"
    instrument = imported["pfs_mr"]
    found = compare_with_etc(instrument, csv, {"seeing": 1.0, "reff": 0.0, "offset": 0.10})
    assert found.signal_ratio == pytest.approx(0.4268 / 0.5559, rel=2e-3)
    assert found.noise_worst < 1e-3
    assert found.agreement == "none"
    dusty = compare_with_etc(instrument, csv, {"ebv": 0.1})
    # 10^(-0.4 x 0.1 x A/E(B-V) of the calculator's table), 2.231 and 1.596 at the ends
    ratio = dusty.signal / dusty.etc_signal
    np.testing.assert_allclose(ratio[[0, -1]], 10 ** (-0.04 * np.array([2.231, 1.596])), rtol=1e-3)


def test_an_arm_is_found_among_several(imported, folder):
    joined = load_instrument(f"b+{imported['pfs_mr'].folder / 'mr.toml'}+n")
    found = compare_with_etc(joined, folder / "etc_mr_i21.5_za35_fa0.45_see0.8.csv")
    assert (found.arm, found.agreement) == ("red-mr", "exact")
    with pytest.raises(DataError, match=r"fit none of the arms.*blue \(4096 pixels, 380-650 nm\)"):
        compare_with_etc(load_instrument("pfs_b"), folder / "etc_mr_i21.5_za35_fa0.45_see0.8.csv")


def test_stars_are_reddened_by_the_calculators_dust(imported, folder):
    """A bank for an imported instrument holds its A/E(B-V), linear in ln(wave)."""
    bank = render_bank(make_grid(star), imported["pfs_mr"], "ab8000", reddening=True)
    with np.load(folder / "pfs_etc_modeldata.npz") as tables:
        norm = tables["dust_norm"]
    place = 100 * np.log10(1e5 / bank.wave)
    expected = np.interp(place, np.arange(norm.size), norm)
    np.testing.assert_allclose(bank.reddening.extinction, expected, rtol=1e-9)


def calculator_with(folder: Path, tmp_path: Path, old: str, new: str) -> Path:
    """Copy of the calculator's files with one text of the configuration replaced."""
    name = "PFS.redMR.20240714.dat"
    text = (folder / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    (tmp_path / "modeldata.npz").write_bytes((folder / "pfs_etc_modeldata.npz").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("OPTICS 8.3", "OPTICS", "entry OPTICS needs 8 numbers"),
        ("CAMERA 1 1.10", "CAMERA 1 fast", "entry CAMERA 1 needs 9 numbers"),
        ("ARMS 3", "ARMS 2", "expected 3 arms"),
        ("VIGNET", "VIGNETTE", "entry VIGNET needs 5 numbers, found none"),
        (" 710.0  0.2415", " 710.0  much", "THRPUT is not numbers"),
    ],
)
def test_damaged_configurations_are_refused(folder, tmp_path, old, new, words):
    damaged = calculator_with(folder, tmp_path, old, new)
    with pytest.raises(DataError, match=words):
        import_calculator(damaged, tmp_path / "out.toml")
    assert not (tmp_path / "out.toml").exists()


def test_import_names_what_is_missing(folder, tmp_path):
    with pytest.raises(DataError, match=r"no PFS\.redMR"):
        import_calculator(tmp_path, tmp_path / "out.toml")
    (tmp_path / "PFS.redMR.20240714.dat").write_text("")
    with pytest.raises(DataError, match=r"no modeldata\.npz"):
        import_calculator(tmp_path, tmp_path / "out.toml")
    (tmp_path / "PFS.redMR.20240714.dat").write_bytes(
        (folder / "PFS.redMR.20240714.dat").read_bytes()
    )
    (tmp_path / "modeldata.npz").write_text("")
    with pytest.raises(DataError, match="not the calculator's modeldata"):
        import_calculator(tmp_path, tmp_path / "out.toml")
    with pytest.raises(ConfigError, match=r"does not end in \.toml"):
        import_calculator(folder, tmp_path / "out.txt")
    with pytest.raises(ConfigError, match=r"\['r'\] are not arms.*b\+m\+n"):
        import_calculator(folder, tmp_path / "out.toml", arms="r")


def test_import_replaces_only_when_told(folder, tmp_path):
    out = tmp_path / "mine.toml"
    import_calculator(folder, out)
    with pytest.raises(ConfigError, match="--overwrite"):
        import_calculator(folder, out)
    again, written = import_calculator(folder, out, overwrite=True)
    assert [path.name for path in written][-1] == "mine.toml"
    assert again.dust_curve is not None
