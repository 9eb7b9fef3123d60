"""A small dataset made from formulae, without the simulator."""

import numpy as np

from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shards import (
    create_dataset,
    finish_dataset,
    plan_shards,
    write_shard,
)
from starsmith.data_contract.dataset.split_columns import rounded
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.noise.view import (
    honest_error,
    observe_spectra,
    snr_statistics,
    true_error,
)
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey, uniforms

LABELS = ("teff", "logg", "m_h")
PRIOR = {
    "teff": (4000.0, 6000.0),
    "logg": (1.0, 5.0),
    "m_h": (-2.0, 0.5),
    "mag": (20.5, 22.5),
    "seeing": (0.5, 1.5),
    "zenith_angle": (0.0, 45.0),
    "field_angle": (0.0, 0.65),
    "moon_zenith_angle": (30.0, 90.0),
    "moon_target_angle": (60.0, 180.0),
    "moon_phase": (0.0, 0.0),
    "exp_time": (900.0, 900.0),
    "exp_count": (12.0, 12.0),
}
COUNTS = {"train": 100, "val": 40, "test": 40}


def make_header(noise, **changes):
    """Header of the example: 100 + 40 + 40 spectra in shards of 32."""
    entries = {
        "wave": noise.wave,
        "noise": noise,
        "label_names": LABELS,
        "counts": COUNTS,
        "seed": 5,
        "shard_rows": 32,
        "prior": PRIOR,
        "grid": {"name": "example"},
        "instrument": {"name": "example"},
        "notice": "EXAMPLE",
    }
    return DatasetHeader(**{**entries, **changes})


def draw(seed, split, index):
    """Stars and skies of some keys, uniform within the prior."""
    names = (*LABELS, "mag", *CONDITIONS)
    low, width = np.array([(PRIOR[n][0], PRIOR[n][1] - PRIOR[n][0]) for n in names]).T
    values = low + width * uniforms(DrawKey(seed, split, index), "labels", len(names))
    return Draws(
        seed=seed,
        split=split,
        index=index,
        label_names=LABELS,
        labels=values[:, :3],
        mag=values[:, 3],
        conditions=values[:, 4:],
    )


def model_flux(draws, wave):
    """Flux of order unity with a line whose depth is a label."""
    x = np.linspace(-1.0, 1.0, wave.size)
    line = 0.15 * draws.label("logg")[:, None] * np.exp(-0.5 * (x / 0.02) ** 2)
    slope = 1.0 + 0.2 * (draws.label("teff")[:, None] / 5000.0 - 1.0) * x
    flux = 10 ** (-0.4 * (draws.mag[:, None] - 21.5)) * slope * (1.0 - line)
    return rounded(flux.astype(np.float32), 12)


def make_columns(header, shard):
    """Columns of one shard, as a generator would pass them."""
    index = np.arange(shard.start, shard.stop)
    draws = draw(header.seed, shard.split, index)
    model = model_flux(draws, header.wave)
    flux, _, sigma = observe_spectra(header.noise, model, draws.conditions, draws.key)
    spectra = {
        "flux_model": model,
        "flux": flux,
        "error": honest_error(header.noise, flux, draws.conditions, header.error_kind),
    }
    columns = {name: draws.label(name) for name in LABELS}
    columns |= {name: draws.condition(name) for name in CONDITIONS}
    columns |= {"index": index, "mag": draws.mag} | snr_statistics(model, sigma)
    return {name: v for name, v in (columns | spectra).items() if name in header.columns}


def write_example(path, header, shards=None):
    """Create a dataset and write some or all of its shards; finish it if all."""
    create_dataset(path, header)
    plan = plan_shards(header.counts, header.shard_rows)
    for shard in plan if shards is None else shards:
        write_shard(path, header, shard, make_columns(header, shard))
    return finish_dataset(path) if shards is None else None


def file_bytes(path):
    """Contents of every file but the manifest, which holds the time."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }


def true_sigma(split):
    """Standard deviation of the noise of a split's draw of record."""
    return true_error(split.header.noise, split.flux_model(), split.draws.conditions)
