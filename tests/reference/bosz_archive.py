"""Files in the layouts of the BOSZ archives, holding black bodies with a Ca II triplet."""

import bz2
import gzip
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
from astropy.io import fits  # noqa: TID251
from scipy.constants import c, h, k

CA_II = {"vacuum": (8500.36, 8544.44, 8664.52), "air": (8498.02, 8542.09, 8662.14)}
HEADER = {"CM": "c_m", "ALPHA": "a_m", "MH": "m_h", "T_EFF": "teff", "LOGG": "logg"}


def archive_wave(resolution, wave_min, wave_max):
    """Exact wavelengths of the 2017 archive in a range [Å]."""
    sample = np.arange(int(2 * resolution * np.log(320.0)) + 1)
    wave = 1000.0 * np.exp(sample / (2.0 * resolution))
    return wave[(wave >= wave_min) & (wave <= wave_max)]


def star(wave, teff, logg=4.0, m_h=0.0, medium="vacuum", **_):
    """Mean intensity with lines and without [erg/s/cm²/Å/sr], from Planck's law."""
    metre = wave * 1e-10
    planck = 2.0 * h * c**2 / metre**5 / np.expm1(h * c / (metre * k * teff))
    continuum = planck * 1e3 * 1e-10
    depth = sum(
        np.exp(-0.5 * ((wave - centre) / (1.0 + 0.1 * logg)) ** 2) for centre in CA_II[medium]
    )
    return continuum * (1.0 - (0.5 + 0.1 * m_h) * depth), continuum


def digits(value):
    """Two digits of |value| x 10 rounded half up, after the sign's letter."""
    tenths = (abs(Decimal(str(value))) * 10).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return f"{'m' if value < 0 else 'p'}{int(tenths):02d}"


def file_name(suffix, resolution, teff, logg=4.0, m_h=0.0, a_m=0.0, c_m=0.0):
    """Name of a node's file in the 2017 release."""
    return (
        f"am{digits(m_h)}c{digits(c_m)}o{digits(a_m)}t{teff:.0f}g{round(logg * 10):02d}"
        f"v20modrt0b{resolution}rs{suffix}"
    )


def write_ascii(path, wave, intensity, continuum):
    """Three columns as the archive prints them: float32 wavelengths with four decimals."""
    rows = zip(np.float32(wave).astype(float), intensity, continuum, strict=True)
    text = "".join(f"{w:.4f} {i:.4E} {t:.4E}\n" for w, i, t in rows)
    path.write_bytes(bz2.compress(text.encode()))


def write_fits(path, wave, intensity, continuum, header):
    """Primary header and one binary table, as the archive lays them out."""
    primary = fits.PrimaryHDU()
    primary.header.update(header)
    columns = [
        fits.Column("Wavelength", "D", array=np.round(np.float32(wave).astype(float), 4)),
        fits.Column("SpecificIntensity", "E", array=intensity),
        fits.Column("Continuum", "E", array=continuum),
    ]
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(path)


def header_of(resolution, teff, logg=4.0, m_h=0.0, a_m=0.0, c_m=0.0):
    """Primary header of a node: INSBROAD holds R, MICROTUR ten times 2 km/s."""
    labels = {"teff": teff, "logg": logg, "m_h": m_h, "a_m": a_m, "c_m": c_m}
    cards = {key: float(labels[label]) for key, label in HEADER.items()}
    return cards | {"INSBROAD": float(resolution), "ROTBROAD": 0.0, "MICROTUR": 20.0}


def write_node(
    folder: Path,
    suffix=".asc.bz2",
    resolution=5000,
    wave_range=(8450.0, 8700.0),
    medium="vacuum",
    edit=None,
    **labels,
) -> Path:
    """Write one node; ``edit(wave, intensity, continuum)`` may spoil it first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(suffix, resolution, **labels)
    wave = archive_wave(resolution, *wave_range)
    columns = [wave, *star(wave, medium=medium, **labels)]
    if edit is not None:
        columns = edit(*columns)
    if suffix == ".fits":
        write_fits(path, *columns, header_of(resolution, **labels))
    else:
        write_ascii(path, *columns)
    return path


def file_name_2024(resolution, atmosphere="mp", microturbulence=2, **labels):
    """Name of a node's file in the 2024 release."""
    full = {"logg": 4.0, "m_h": 0.0, "a_m": 0.0, "c_m": 0.0} | labels
    return (
        f"bosz2024_{atmosphere}_t{full['teff']}_g{full['logg']:+.1f}_m{full['m_h']:+.2f}"
        f"_a{full['a_m']:+.2f}_c{full['c_m']:+.2f}_v{microturbulence}_r{resolution}_resam.txt.gz"
    )


def write_node_2024(
    folder: Path,
    resolution=500,
    atmosphere="mp",
    microturbulence=2,
    medium="air",
    factor=0.25,
    edit=None,
    **labels,
) -> Path:
    """Write one node: Eddington flux H = pi x intensity x 1/4 / pi, and continuum, no wavelengths.

    ``medium`` is where the triplet's minima stand in the file's own wavelengths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name_2024(resolution, atmosphere, microturbulence, **labels)
    n_wave = 15 * resolution
    wave = np.exp(np.log(500.0) + np.arange(n_wave) * np.log(640.0) / n_wave)
    rows = np.transpose([factor * column for column in star(wave, medium=medium, **labels)])
    if edit is not None:
        rows = edit(rows)
    text = "".join(f"{flux:.6E} {continuum:.6E}\n" for flux, continuum in rows)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    return path
