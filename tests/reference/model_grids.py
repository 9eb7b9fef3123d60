"""Files in the layouts of published model grids, holding black bodies with a Ca II triplet.

Layouts: Husser+ 2013 (A&A 553, A6) for PHOENIX; Hauschildt+ 2025 for NewEra; the Synphot Data
User's Guide, A.3, for STScI's Kurucz atlases; Kurucz's fluxpack format for ``.flx`` and ``.pck``.
"""

import numpy as np
from astropy.io import fits  # noqa: TID251
from astropy.table import Table
from scipy.constants import c

from starsmith.data_contract.air import vacuum_to_air
from tests.reference.bosz_archive import star

PHOENIX_WAVE = "WAVE_PHOENIX-ACES-AGSS-COND-2011.fits"
PER_CM = 1e8  # of a flux per Å
LIGHT = 1e10 * c  # Å/s


def surface_flux(wave, **labels):
    """F = pi x mean intensity of `star` [erg/s/cm²/Å]."""
    return np.pi * star(wave, **labels)[0]


def fine_wave(low=8400.0, high=8750.0, resolution=60_000):
    """Two samples per wave / R [Å]."""
    return np.exp(np.arange(np.log(low), np.log(high), 0.5 / resolution))


def phoenix_name(teff, logg=4.0, m_h=0.0, a_m=0.0):
    metals = f"{m_h:+.1f}" if m_h else "-0.0"
    alpha = f".Alpha={a_m:+.2f}" if a_m else ""
    return f"lte{teff:05.0f}{-logg:+.2f}{metals}{alpha}.PHOENIX-ACES-AGSS-COND-2011-HiRes.fits"


def write_phoenix(folder, wave, teff, logg=4.0, m_h=0.0, a_m=0.0, cards=None, edit=None):
    """One image of flux in erg/s/cm²/cm, and the library's file of wavelengths."""
    folder.mkdir(parents=True, exist_ok=True)
    flux = PER_CM * surface_flux(wave, teff=teff, logg=logg, m_h=m_h)
    image = fits.PrimaryHDU((flux if edit is None else edit(flux)).astype(np.float32))
    image.header["PHXTEFF"], image.header["PHXLOGG"] = teff, logg
    image.header["PHXM_H"], image.header["PHXALPHA"] = m_h, a_m
    image.header["BUNIT"] = "erg/s/cm^2/cm"
    image.header.update(cards or {})
    path = folder / phoenix_name(teff, logg, m_h, a_m)
    image.writeto(path, overwrite=True)
    fits.PrimaryHDU(wave.astype(np.float64)).writeto(folder / PHOENIX_WAVE, overwrite=True)
    return path


def write_newera(folder, wave, teff, logg=4.0, m_h=0.0, a_m=0.0):
    """Vacuum wavelengths and the decimal logarithm of flux in erg/s/cm²/cm."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    metals = f"{m_h:+.1f}" if m_h else "-0.0"
    alpha = f".alpha={a_m:+.1f}" if a_m else ""
    name = f"lte{teff:05.0f}{-logg:+.2f}{metals}{alpha}.PHOENIX-NewEra-ACES-COND-2023.HSR.h5"
    with h5py.File(folder / name, "w") as file:
        flux = PER_CM * surface_flux(wave, teff=teff, logg=logg, m_h=m_h)
        file["PHOENIX_SPECTRUM/wl"] = wave
        file["PHOENIX_SPECTRUM/flux"] = np.log10(flux)
    return folder / name


def write_stsci(folder, wave, teff, gravities, m_h=0.0):
    """A table of a Teff: gravities not computed are columns of zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [fits.Column("WAVELENGTH", "1D", array=wave)]
    for tenths in range(0, 55, 5):
        logg = tenths / 10.0
        flux = surface_flux(wave, teff=teff, logg=logg, m_h=m_h)
        flux = flux if logg in gravities else np.zeros(wave.size)
        columns.append(fits.Column(f"g{tenths:02d}", "1E", array=flux))
    primary = fits.PrimaryHDU()
    primary.header["TEFF"], primary.header["LOG_Z"] = teff, m_h
    sign = "m" if m_h < 0 else "p"
    path = folder / f"ck{sign}{round(abs(m_h) * 10):02d}_{teff:.0f}.fits"
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


def eddington(wave, **labels):
    """H_nu and its continuum [erg/s/cm²/Hz/sr] of vacuum wavelengths."""
    return [row * wave**2 / LIGHT / 4.0 for row in star(wave, **labels)]


def write_flx(path, wave, nodes, medium="vacuum", alpha=""):
    """Models one after the other, a line a wavelength [nm], as ATLAS9 prints them."""
    shown = vacuum_to_air(wave) if medium == "air" else wave
    lines = []
    for teff, logg, m_h in nodes:
        lines.append(f"TEFF {teff:6.0f}.  GRAVITY {logg:.5f} LTE")
        lines.append(f"TITLE SDSC GRID  [{m_h:+.1f}{alpha}]   VTURB 2.0 KM/S    L/H 1.25")
        rows = zip(shown, wave, *eddington(wave, teff=teff, logg=logg, m_h=m_h), strict=True)
        for i, (at, vacuum, flux, continuum) in enumerate(rows, 1):
            lines.append(
                f"FLUX{i:5d}{at / 10:9.3f}{LIGHT / vacuum:20.6E}{flux:13.4E}{continuum:13.4E}"
                f"{flux / continuum:10.5f}"
            )
    path.write_text("\n".join(lines) + "\n")
    return path


def write_pck(path, wave, nodes):
    """Wavelengths [nm] after END, then H and continuum of each model in fields of ten."""

    def packed(values, width, spec):
        fields = [f"{value:{width}{spec}}" for value in values]
        return ["".join(fields[i : i + 8]) for i in range(0, len(fields), 8)]

    lines = ["KURUCZ MODEL FLUXES", "END", *packed(wave / 10.0, 10, ".2f")]
    for teff, logg, m_h in nodes:
        head = f"TEFF {teff:6.0f}.  GRAVITY {logg:.5f}  SDSC GRID  [{m_h:+.1f}]   VTURB 2.0 KM/S"
        flux, continuum = eddington(wave, teff=teff, logg=logg, m_h=m_h)
        lines += [head, *packed(flux, 10, ".4E"), *packed(continuum, 10, ".4E")]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_list(folder, wave, nodes, meta=None, write=None):
    """Two-column texts and ``list.ecsv`` with their labels."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for k, (teff, logg, m_h) in enumerate(nodes):
        flux = surface_flux(wave, teff=teff, logg=logg, m_h=m_h)
        columns = np.transpose([wave, flux] if write is None else write(wave.copy(), flux))
        names.append(f"star{k}.txt")
        np.savetxt(folder / names[-1], columns, fmt="%.9e")
    teff, logg, m_h = zip(*nodes, strict=True)
    table = Table({"file": names, "teff": teff, "logg": logg, "m_h": m_h})
    table.meta.update(meta or {})
    path = folder / "list.ecsv"
    table.write(path, format="ascii.ecsv", overwrite=True)
    return path
