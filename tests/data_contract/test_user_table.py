"""Users' tables: formats, names, units, missing cells, what is refused and how."""

import gzip

import numpy as np
import pytest
from astropy import units
from astropy.table import MaskedColumn, Table

from starsmith.data_contract.air import vacuum_to_air
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from starsmith.data_contract.tables.population import read_population
from starsmith.data_contract.tables.user_table import read_table
from starsmith.data_contract.unit_conversion import to_glossary

WAVE = 8000.0 + 0.4 * np.arange(8)
FLUX = 2.0 + np.arange(8.0)
ERROR = 0.1 * FLUX
CGS = units.Unit("1e-17 erg / (s cm2 Angstrom)")
STARS = {"teff": [4500.0, 5500.0], "logg": [3.5, 4.5], "m_h": [-1.0, 0.0], "mag": [20.0, 21.0]}


def spectrum(**columns):
    return Table({"wave": WAVE, "flux": FLUX, "error": ERROR} | columns)


@pytest.mark.parametrize("suffix", ["ecsv", "csv", "fits", "fit", "fts", "FITS", "CSV", "Fits"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_suffix_and_gzip(tmp_path, suffix, packed):
    """The content decides, not the case of the suffix; digits are kept."""
    kind = {"ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(suffix.lower(), "fits")
    plain = tmp_path / "plain"
    spectrum().write(plain, format=kind)
    path = tmp_path / f"star.{suffix}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(plain.read_bytes()) if packed else plain.read_bytes())
    seen = read_spectrum(path)
    np.testing.assert_array_equal(seen.wave, WAVE)
    np.testing.assert_array_equal(seen.flux, FLUX)
    np.testing.assert_array_equal(seen.error, ERROR)


@pytest.mark.parametrize(
    ("head", "scale"),
    [
        ("\ufeffwave,flux", 1.0),
        ("Wavelength,FLUX", 1.0),
        ("lambda [nm],Flux Density", 0.1),
        ("WAVE_NM,f_lambda", 0.1),
        ("wl (um),flam", 1e-4),
    ],
)
def test_names_in_any_case_by_alias_and_with_units(tmp_path, head, scale):
    """A byte-order mark, another name, a unit in brackets: the same spectrum."""
    rows = "".join(f"{float(w) * scale},{f}\n" for w, f in zip(WAVE, FLUX, strict=True))
    (tmp_path / "a.csv").write_text(f"{head}\n{rows}", encoding="utf-8")
    seen = read_spectrum(tmp_path / "a.csv")
    np.testing.assert_allclose(seen.wave, WAVE, rtol=1e-14)
    np.testing.assert_array_equal(seen.flux, FLUX)


def test_logarithms_and_inverse_variances(tmp_path):
    """A loglam is the logarithm of Å; ivar 0 is no measurement; a variance is a squared error."""
    ivar = ERROR**-2.0
    ivar[3] = 0.0
    sdss = Table({"loglam": np.log10(WAVE), "flux": FLUX, "ivar": ivar, "and_mask": [0] * 7 + [1]})
    sdss.write(tmp_path / "sdss.fits")
    seen = read_spectrum(tmp_path / "sdss.fits")
    np.testing.assert_allclose(seen.wave, WAVE, rtol=1e-14)
    assert np.flatnonzero(~seen.usable).tolist() == [3, 7]
    np.testing.assert_allclose(seen.error[seen.usable], ERROR[seen.usable], rtol=1e-14)
    table = Table({"wave": WAVE, "flux": FLUX, "variance": ERROR**2})
    table.write(tmp_path / "variance.ecsv")
    np.testing.assert_allclose(read_spectrum(tmp_path / "variance.ecsv").error, ERROR, rtol=1e-14)


@pytest.mark.parametrize("unit", ["nJy", "uJy", "mJy", "Jy", "erg / (s cm2 Hz)", "W / (m2 um)"])
@pytest.mark.parametrize("kind", ["ecsv", "fits"])
def test_fluxes_of_any_unit(tmp_path, unit, kind):
    """Flux, error and inverse variance by astropy's own conversion; 1e-12."""
    here = units.spectral_density(WAVE * units.AA)
    flux, error = ((values * CGS).to(unit, here) for values in (FLUX, ERROR))
    table = Table({"wave": (WAVE * units.AA).to(units.um), "flux": flux, "error": error})
    table.write(tmp_path / f"a.{kind}")
    seen = read_spectrum(tmp_path / f"a.{kind}")
    np.testing.assert_allclose(seen.wave, WAVE, rtol=1e-14)
    np.testing.assert_allclose(seen.flux, FLUX, rtol=1e-12)
    np.testing.assert_allclose(seen.error, ERROR, rtol=1e-12)
    del table["error"]
    table["ivar"] = error**-2
    table.write(tmp_path / f"b.{kind}")
    np.testing.assert_allclose(read_spectrum(tmp_path / f"b.{kind}").error, ERROR, rtol=1e-12)


@pytest.mark.parametrize(
    "unit",
    ["erg/s/cm2/A", "1e-17 erg/s/cm2/A", "10**-17 erg/s/cm2/Angstrom", "1E-17 ergs/cm^2/s/Ang"],
)
def test_spellings_of_a_flux_unit(tmp_path, unit):
    """A is Angstrom, not ampere; ergs are erg."""
    rows = "".join(f"{w},{f}\n" for w, f in zip(WAVE, FLUX, strict=True))
    (tmp_path / "a.csv").write_text(f"wave (Angstroms),flux [{unit}]\n{rows}")
    scale = 1.0 if "17" in unit else 1e17
    np.testing.assert_allclose(read_spectrum(tmp_path / "a.csv").flux, FLUX * scale, rtol=1e-12)


def test_missing_cells_are_never_zero(tmp_path):
    """Blank, NA and masked cells are unusable pixels of a spectrum."""
    (tmp_path / "a.csv").write_text("wave,flux,error,mask\n1,,1,0\n2,5,NA,0\n3,5,1,\n4,5,1,0\n")
    seen = read_spectrum(tmp_path / "a.csv")
    assert seen.usable.tolist() == [False, False, False, True]
    for kind in ("ecsv", "fits"):
        hidden = MaskedColumn(FLUX, mask=WAVE > 8002.0)
        spectrum(flux=hidden).write(tmp_path / f"a.{kind}")
        assert np.flatnonzero(~read_spectrum(tmp_path / f"a.{kind}").usable).tolist() == [6, 7]
    (tmp_path / "b.csv").write_text("wave,flux\n1,1\n,1\n")
    with pytest.raises(DataError, match=r"'wave'.*first: row 2"):
        read_spectrum(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("meta", "name"),
    [
        ({"medium": "air"}, "wave"),
        ({"AIRORVAC": "air"}, "wave"),
        ({"VACUUM": False}, "wave"),
        ({"CTYPE1": "AWAV"}, "wave"),
        ({}, "wave_air"),
        ({}, "wave"),
    ],
)
@pytest.mark.parametrize("kind", ["ecsv", "fits"])
def test_air_wavelengths_on_request_or_as_the_file_says(tmp_path, meta, name, kind):
    """Ciddor's formula back to vacuum: 1e-9 Å; and a contradiction is refused."""
    table = Table({name: vacuum_to_air(WAVE), "flux": FLUX}, meta=meta)
    table.write(tmp_path / f"a.{kind}")
    said = bool(meta) or name != "wave"
    seen = read_spectrum(tmp_path / f"a.{kind}", air=not said)
    np.testing.assert_allclose(seen.wave, WAVE, rtol=0, atol=1e-8)
    table.meta = {"medium": "vacuum"}
    table.rename_column(name, "wave")
    table.write(tmp_path / f"b.{kind}")
    with pytest.raises(DataError, match="drop --air"):
        read_spectrum(tmp_path / f"b.{kind}", air=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("wave,flux\n1,x\n", "'flux' is not usable.*'x' in row 1"),
        ("wave,lambda,wl,flux\n1,2,3,4\n", r"no column|could all be|"),
        ("lam,wl,flux\n1,2,3\n", "lam, wl could all be wave"),
        ("wave,f\n1,2\n", r"no column \['flux'\], found \['wave', 'f'\]"),
        ("wave,flux [K]\n1,2\n", "K is no unit of flux density"),
        ("wave [s],flux\n1,2\n", "no unit of wavelength"),
        ("wave,fnu\n1,2\n", "per frequency and has no unit"),
        ("wave,flux\n1,2\n3,4,5\n", "cannot be read as a table"),
        ("", "it is empty"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, content, words):
    (tmp_path / "a.csv").write_text(content)
    if words.endswith("|"):  # the very name is there: no doubt
        assert read_spectrum(tmp_path / "a.csv").wave.tolist() == [1.0]
        return
    with pytest.raises(DataError, match=words) as refusal:
        read_spectrum(tmp_path / "a.csv")
    assert "\n" not in str(refusal.value)
    assert str(tmp_path / "a.csv") in str(refusal.value)


def test_a_line_of_text_is_never_a_file_name(tmp_path):
    """A table of one line that names a file is not that file."""
    spectrum().write(tmp_path / "secret.csv", format="ascii.csv")
    (tmp_path / "a.csv").write_text(str(tmp_path / "secret.csv"))
    assert "wave" not in read_table(tmp_path / "a.csv").columns


def test_a_damaged_or_endless_file_is_refused(tmp_path, monkeypatch):
    """Cut short, or compressed beyond all bounds."""
    spectrum().write(tmp_path / "a.fits")
    whole = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[:-2000])
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_spectrum(tmp_path / "cut.fits")
    from starsmith.data_contract.tables import user_table

    monkeypatch.setattr(user_table, "MOST_TABLE", 1000)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"wave,flux\n" + b"1,1\n" * 1000))
    with pytest.raises(DataError, match="1000 bytes"):
        read_spectrum(tmp_path / "bomb.csv.gz")


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("logg", 2.5, "dex(m / s2)", 4.5),
        ("logg", 100.0, "m / s2", 4.0),
        ("logg", 4.5, "dex(cm / s2)", 4.5),
        ("logg", 4.5, "dex", 4.5),
        ("teff", 5.0, "kK", 5000.0),
        ("teff", 3.7, "dex(K)", 10**3.7),
        ("mag", 36310.0, "nJy", 20.0),
        ("mag", 36.31, "uJy", 20.0),
        ("mag", 20.0, "mag(AB)", 20.0),
        ("mag", 20.0, "mag", 20.0),
        ("mag", 20.0, "ABmag", 20.0),
        ("mag", 20.0, "AB", 20.0),
        ("mag", 20.0, "vegamag", 20.02),
        ("mag", 20.0, "mag(Vega)", 20.02),
        ("rv", 5000.0, "m / s", 5.0),
        ("ebv", 0.1, "mag", 0.1),
        ("m_h", -1.0, "dex", -1.0),
    ],
)
def test_labels_of_any_unit(name, value, unit, expected):
    found = to_glossary(name, np.array([value]), unit, "bessell-V")
    assert found[0] == pytest.approx(expected, rel=1e-12)


def test_st_magnitudes_need_a_band():
    """ST less AB is 5 log10(pivot / 5475 Å) - 0.0, to 0.01 mag, by the zero points of both."""
    st = to_glossary("mag", np.array([20.0]), "mag(ST)", "ab8000")
    assert to_glossary("mag", np.array([20.0]), "STmag", "ab8000") == st
    assert 20.0 - st[0] == pytest.approx(5 * np.log10(8000.0 / 5475.0), abs=0.01)
    for unit in ("mag(ST)", "Vega"):
        with pytest.raises(ValueError, match="band"):
            to_glossary("mag", np.array([20.0]), unit)
    with pytest.raises(ValueError, match="cannot be converted"):
        to_glossary("mag", np.array([20.0]), "s")


@pytest.mark.filterwarnings("ignore:It is strongly recommended")
@pytest.mark.filterwarnings("ignore:The unit")
@pytest.mark.parametrize("kind", ["ecsv", "fits"])
def test_a_population_in_other_units_and_names(tmp_path, kind):
    """The same stars in kK, dex(m/s2) and nJy under the names of other people."""
    table = Table(
        {
            "T_eff": np.array(STARS["teff"]) * 1e-3 * units.kK,
            "LOGG": np.array(STARS["logg"]) - 2.0,
            "[Fe/H]": STARS["m_h"],
            "Mag": 3631e9 * 10 ** (-0.4 * np.array(STARS["mag"])) * units.nJy,
        }
    )
    table["LOGG"].unit = units.dex(units.m / units.s**2)
    table.write(tmp_path / f"stars.{kind}")
    if kind == "fits":  # whose standard has no logarithmic units: written without one
        table["LOGG"] = np.array(STARS["logg"])
        table.write(tmp_path / "stars.fits", overwrite=True)
    found = read_population(tmp_path / f"stars.{kind}").columns
    for name, values in STARS.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "unit", "words"),
    [
        ("logg", "km", "logg.*km cannot be converted"),
        ("teff", "mag(AB)", "teff"),
        ("m_h", "%", "m_h.*%"),
        ("mag", "Vega", "mag.*Vega"),
        ("mag", "bananas", "mag.*bananas is no unit"),
    ],
)
def test_a_population_in_units_of_something_else_is_refused(tmp_path, column, unit, words):
    rows = "\n".join(",".join(map(str, row)) for row in zip(*STARS.values(), strict=True))
    head = ",".join(f"{name} [{unit}]" if name == column else name for name in STARS)
    (tmp_path / "a.csv").write_text(f"{head}\n{rows}\n")
    with pytest.raises(ConfigError, match=words):
        read_population(tmp_path / "a.csv")


def test_a_blank_cell_of_a_population_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("teff,logg,m_h,mag\n5000,4,0,20\n5000,,0,20\n")
    with pytest.raises(ConfigError, match=r"logg is missing .* 1 row\(s\), first in row 2"):
        read_population(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("head", "value", "words"),
    [
        ("teff,logg,m_h,mag", "", "no rows"),
        ("teff,g,m_h,mag", "5000,100,0,20", "logg"),  # without a unit it may be a magnitude
        ("teff,g [m/s2],m_h,mag", "5000,100,0,20", ""),
        ("teff,GRAVITY [cm/s2],m_h,mag", "5000,10000,0,20", ""),
    ],
)
def test_gravity_itself_is_known_by_its_unit(tmp_path, head, value, words):
    (tmp_path / "a.csv").write_text(f"{head}\n{value}\n")
    if words:
        with pytest.raises(ConfigError, match=words):
            read_population(tmp_path / "a.csv")
    else:
        assert read_population(tmp_path / "a.csv").columns["logg"] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("wave,flux\n", "no rows"),
        ("wave,flux [mag(AB)]\n8000,20\n", "a logarithm"),
        ("λ [Å],F_ν\n8000,20\n", "per frequency and has no unit"),
    ],
)
def test_what_is_no_spectrum_is_told(tmp_path, content, words):
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_spectrum(tmp_path / "a.csv")
