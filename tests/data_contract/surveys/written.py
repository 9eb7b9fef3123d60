"""Small files of every survey, written as the surveys write theirs."""

import json

import h5py
import numpy as np
from astropy.io import fits  # noqa: TID251

N = 40
WAVE = 5000.0 + np.arange(N)
FLUX = (1.0 + 0.1 * np.sin(WAVE)).astype(np.float32)


def table(name, columns):
    """A table HDU of some columns by name: format and values."""
    made = [fits.Column(n, form, array=values) for n, (form, values) in columns.items()]
    return fits.BinTableHDU.from_columns(made, name=name)


def desi(path, n=3):
    rng = np.random.default_rng(1)
    hdus = [
        fits.PrimaryHDU(),
        table("FIBERMAP", {"TARGETID": ("K", 39627866878511337 + np.arange(n))}),
    ]
    for arm in "BRZ":
        hdus += [
            fits.ImageHDU(WAVE + 100 * "BRZ".index(arm), name=f"{arm}_WAVELENGTH"),
            fits.ImageHDU(rng.normal(1, 0.1, (n, N)).astype("f4"), name=f"{arm}_FLUX"),
            fits.ImageHDU(np.full((n, N), 100.0, "f4"), name=f"{arm}_IVAR"),
            fits.ImageHDU(np.zeros((n, N), "u4"), name=f"{arm}_MASK"),
        ]
    fits.HDUList(hdus).writeto(path)


def lamost(path):
    cards = fits.Header({"TELESCOP": "LAMOST", "DESIG": "LAMOST J0", "VACUUM": True, "HELIO": True})
    rows = np.stack([FLUX, np.full(N, 4.0), WAVE, np.zeros(N), np.zeros(N)])
    fits.PrimaryHDU(rows, cards).writeto(path)


def lamost_table(path):
    cards = fits.Header({"TELESCOP": "LAMOST", "DESIG": "LAMOST J0", "VACUUM": True})
    values = [FLUX, np.full(N, 4.0), WAVE, np.zeros(N), np.zeros(N)]
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
    columns = {n: (f"{N}E", v[None]) for n, v in zip(names, values, strict=True)}
    fits.HDUList([fits.PrimaryHDU(header=cards), table("COADD", columns)]).writeto(path)


def sdss(path):
    columns = {
        "flux": ("E", FLUX),
        "loglam": ("E", np.log10(WAVE)),
        "ivar": ("E", np.full(N, 4.0)),
        "and_mask": ("J", np.zeros(N, int)),
    }
    cards = fits.Header({"PLATEID": 1, "MJD": 2, "FIBERID": 3})
    fits.HDUList([fits.PrimaryHDU(header=cards), table("COADD", columns)]).writeto(path)


def ap_visit(path):
    wave = 16000.0 - np.arange(3 * N).reshape(3, N)
    images = (np.ones((3, N), "f4"), np.full((3, N), 0.1, "f4"), np.zeros((3, N), "i2"), wave)
    cards = fits.Header({"OBJID": "2M01", "BC": 10.0, "VHELIO": 30.0, "PLATE": "1"})
    fits.HDUList([fits.PrimaryHDU(header=cards), *map(fits.ImageHDU, images)]).writeto(path)


def ap_star(path, n_row=4):
    cards = fits.Header({"OBJID": "2M02", "NVISITS": n_row - 2, "VHELIO": 12.0, "SNR": 90.0})
    shape = (n_row, 8575)
    flux = np.ones(shape, "f4") * (1.0 + np.arange(n_row))[:, None]
    flags = np.zeros(shape, "i2")
    flags[:, 5] = 1
    images = [fits.ImageHDU(x) for x in (flux.astype("f4"), np.full(shape, 0.1, "f4"), flags)]
    images[0].header.update({"CRVAL1": 4.179, "CDELT1": 6e-6})
    fits.HDUList([fits.PrimaryHDU(header=cards), *images]).writeto(path)


def aspcap_star(path):
    images = [fits.ImageHDU(np.full(8575, x, "f4")) for x in (0.9, 0.01, 0.9)]
    images[0].header.update({"CRVAL1": 4.179, "CDELT1": 6e-6})
    columns = {"APOGEE_ID": ("18A", ["2M03"]), "TEFF": ("E", [4500.0]), "TEFF_ERR": ("E", [50.0])}
    columns |= {"LOGG": ("E", [2.0]), "M_H": ("E", [-9999.0])}
    fits.HDUList([fits.PrimaryHDU(), *images, table("ASPCAP", columns)]).writeto(path)


def pfs_object(path):
    columns = {
        "wavelength": ("D", WAVE / 10),
        "flux": ("E", FLUX * 1e4),
        "error": ("E", FLUX * 10),
        "mask": ("J", np.zeros(N, int)),
    }
    cards = fits.Header({"CATID": 1, "OBJID": 7, "TRACT": 0, "PATCH": "0,0"})
    fits.HDUList([fits.PrimaryHDU(header=cards), table("FLUX_TABLE", columns)]).writeto(path)


def pfs_merged(path, n=2):
    covar = np.zeros((n, 3, N))
    covar[:, 0] = 0.01
    images = {
        "FIBERID": np.arange(11, 11 + n),
        "WAVELENGTH": np.tile(WAVE / 10, (n, 1)),
        "FLUX": np.ones((n, N)),
        "MASK": np.zeros((n, N), "i4"),
        "COVAR": covar,
    }
    cards = fits.Header()
    cards["HIERARCH pfsDesignId"] = 0xABC
    hdus = [fits.ImageHDU(values, name=name) for name, values in images.items()]
    fits.HDUList([fits.PrimaryHDU(header=cards), *hdus]).writeto(path)


def published(path, n=3):
    with h5py.File(path, "w") as root:
        root["spectrumdataset/wave"] = WAVE
        root["dataset/arrays/flux/value"] = np.tile(FLUX, (n, 1))
        root["dataset/arrays/error/value"] = np.full((n, N), 0.02, "f4")
        kinds = [("T_eff", "f8"), ("log_g", "f8"), ("Fe_H", "f8"), ("targetid", "i8")]
        rows = np.zeros(n, dtype=kinds)
        rows["T_eff"], rows["log_g"], rows["targetid"] = 5000, 2.5, 100 + np.arange(n)
        root.create_group("dataset/params")["table"] = rows


def local_hdf5(path, n=3):
    with h5py.File(path, "w") as root:
        root["test/spectra"] = np.ones((n, 7781), "f4")
        root["test/targetid"] = 100 + np.arange(n)
        for name, value in (("teff", 5000.0), ("logg", 2.0), ("feh", -1.0)):
            root[f"test/{name}"] = np.full(n, value)


def sparcl(path):
    record = {
        "targetid": 5,
        "wavelength": WAVE.tolist(),
        "flux": FLUX.tolist(),
        "ivar": [4.0] * N,
        "mask": [0] * N,
    }
    path.write_text(json.dumps([{"status": {}}, record]))


def star_table(path):
    rows = "\n".join(f"{w},{f},0.1" for w, f in zip(WAVE, FLUX, strict=True))
    path.write_text(f"wave,flux,error\n{rows}\n")


WRITERS = {
    "coadd.fits": desi,
    "lamost.fits": lamost,
    "lamost_table.fits": lamost_table,
    "sdss.fits": sdss,
    "apVisit.fits": ap_visit,
    "apStar.fits": ap_star,
    "aspcapStar.fits": aspcap_star,
    "pfsObject.fits": pfs_object,
    "pfsMerged.fits": pfs_merged,
    "published.h5": published,
    "local.h5": local_hdf5,
    "sparcl.json": sparcl,
    "star.csv": star_table,
}
