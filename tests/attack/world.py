"""One small file of every kind that commands read, made by the commands themselves."""

from importlib.resources import files
from itertools import product

import numpy as np
from astropy.table import Table

from starsmith.data_contract.grid.grid_file import GridData, write_grid
from tests.conftest import make_toy_bank, star_flux
from tests.reference import model_grids
from tests.reference.bosz_archive import star, write_node
from tests.written.driver import run

MADE = (
    "specsim generate -n 60 --seed 3 --workers 1 --bank bank.zarr --out data.zarr",
    "specdata convert data.zarr published --format hdf5",
    "speclearn train data.zarr --model ridge --out ridge",
    "speclearn train data.zarr --model lightgbm --set rounds=3 --out trees",
    "speclearn train data.zarr --model specvit_tiny --epochs 1 --out vit",
    "speclearn train data.zarr --model gridposterior --out gp",
    "speclearn predict ridge data.zarr --out predictions.ecsv",
    "specsim spectrum --bank bank.zarr --index 3 --out star.ecsv",
    "specsim spectrum --bank bank.zarr --index 3 --out star.fits",
    "specsim spectrum --bank bank.zarr --index 3 --out star.csv",
    "specsim example population --out mock.ecsv",
    "specsim example targets --out targets.fits",
)
TEXTS = {
    "run.toml": 'n = 40\nbank = "bank.zarr"\nmag = [20.5, 22.5]\nseed = 5\nworkers = 1\n',
    "recipe.toml": "epochs = 1\nbatch_size = 20\nlearning_rate = 1e-3\nseed = 1\n",
}


def build(folder):
    """Fill an empty folder, which is the working directory."""
    make_toy_bank(128).save(folder / "bank.zarr")
    axes = {
        "teff": np.array([4500.0, 5000.0, 5500.0]),
        "logg": np.array([4.0, 4.5]),
        "m_h": np.array([-0.5, 0.0]),
    }
    wave = np.geomspace(6400.0, 9100.0, 7000)
    teff, logg, m_h = axes.values()
    nodes = [[[star_flux(t, g, z, wave) for z in m_h] for g in logg] for t in teff]
    flux = np.array(nodes, dtype=np.float32)
    valid = np.ones(flux.shape[:-1], dtype=bool)
    grid = GridData(name="toy", axes=axes, wave=wave, flux=flux, resolution=2e4, valid=valid)
    write_grid(folder / "grid.zarr", grid)
    sed = Table({"wave": wave, "flux": star(wave, 5000.0)[0]}, units={"wave": "Angstrom"})
    sed.write(folder / "sed.ecsv", format="ascii.ecsv")
    for teff, logg in product((4000.0, 4500.0, 5000.0), (4.0, 4.5)):
        write_node(folder / "archive", teff=teff, logg=logg)
    write_model_grids(folder)
    instrument = files("starsmith.simulator.instruments") / "pfs_mr.toml"
    (folder / "mine.toml").write_text(instrument.read_text())
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    for line in MADE:
        code, said = run(line)
        assert code == 0, f"{line}: {said}"


def write_model_grids(folder):
    """A small file of every layout that ``specsim grid import`` reads."""
    fine = model_grids.fine_wave(8470.0, 8690.0, resolution=6000)
    nodes = [(5000, 4.0, 0.0), (5250, 4.0, 0.0)]
    meta = {"medium": "vacuum", "flux": "F_lambda", "resolution": 12000}
    model_grids.write_list(folder / "list", fine, nodes, meta)
    model_grids.write_phoenix(folder / "phoenix", fine, 5000)
    model_grids.write_newera(folder / "newera", fine, 5000)
    model_grids.write_stsci(folder / "atlas", fine, 5000, (4.0, 4.5))
    model_grids.write_flx(folder / "kurucz.flx", fine[::4], nodes)
    model_grids.write_pck(folder / "kurucz.pck", np.round(fine[::4], 1), nodes)
    teff, logg, m_h = (np.array(column, dtype=float) for column in zip(*nodes, strict=True))
    flux = np.array([model_grids.surface_flux(fine, teff=t, logg=g, m_h=m) for t, g, m in nodes])
    arrays = {"wave": fine, "flux": flux, "teff": teff, "logg": logg, "m_h": m_h}
    np.savez(folder / "models.npz", **arrays)
    arrays["wave"] = np.tile(fine, (len(nodes), 1))
    Table(arrays).write(folder / "models.fits")
