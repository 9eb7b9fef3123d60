"""Works that ours and somebody else's code both do, for ``python -m benchmarks.all``."""

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from numcodecs.blosc import BITSHUFFLE, compress, decompress
from scipy.sparse import csr_array
from zarr.codecs import BloscCodec, Crc32cCodec

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.schema import CHUNK_ROWS
from starsmith.data_contract.dataset.split_columns import open_column, read_rows, write_rows
from starsmith.data_contract.noise.view import honest_error, snr_statistics
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.surveys.standardise.resampling import (
    Operator,
    resample,
    resampling_matrix,
)
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import combine, spline_weights
from tests.reference.simulate import error_plainly, observe_plainly

__all__ = ["WORKS", "Bench", "Pair", "Work"]

N_PLAIN = 10  # stars of a peer that takes one at a time
N_TREE, N_PIXEL = 20, 256


@dataclass(frozen=True)
class Pair:
    """Two calls that do the same, and the least it takes.

    Attributes
    ----------
    ours, peer, bound : callable
        Without arguments; the bound, if there is one, is work that cannot be left out.
    n_ours, n_peer : int
        Spectra in a call.
    """

    ours: Callable[[], object]
    peer: Callable[[], object]
    n_ours: int
    n_peer: int
    bound: Callable[[], object] | None = None


@dataclass(frozen=True)
class Work:
    """A row of the table.

    Attributes
    ----------
    name, peer : str
    needs : tuple of str
        Packages that are no dependency of ours.
    alike : str
        What either does more.
    make : callable
        From a `Bench` to a `Pair`.
    bounded_by : str
    """

    name: str
    peer: str
    alike: str
    make: Callable[["Bench"], Pair]
    needs: tuple[str, ...] = ()
    bounded_by: str = ""

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


class Bench:
    """Stars of a bank that all works share.

    Attributes
    ----------
    bank : Bank
    draws : Draws
    flux, error : float32 arrays, shape (n_spec, n_wave)
    """

    def __init__(self, bank: Bank, n_spec: int):
        self.bank, self.n_spec = bank, n_spec
        self.draws = draw_stars(bank, Prior.default(), 1, "train", np.arange(n_spec))
        seen = observe(bank, self.draws)
        self.flux, self.error = seen.flux, seen.error
        self.folder = tempfile.TemporaryDirectory()

    def stored(self) -> Path:
        """A data set of these stars."""
        path = Path(self.folder.name) / "data.zarr"
        if not path.exists():
            counts = {"train": self.n_spec, "val": 1, "test": 1}
            write_dataset(self.bank, Prior.default(), counts, path, 1)
        return path


def _observe(bench: Bench) -> Pair:
    rng, few = np.random.default_rng(0), bench.draws.take(slice(0, N_PLAIN))
    return Pair(
        lambda: observe(bench.bank, bench.draws),
        lambda: observe_plainly(bench.bank, few, rng),
        bench.n_spec,
        len(few),
    )


def _specsim(bench: Bench) -> Pair:
    import specsim.config
    import specsim.simulator

    config = specsim.config.load_config("test")
    config.instrument.cameras.r.constants.output_pixel_size = "0.4 Angstrom"
    simulator = specsim.simulator.Simulator(config, num_fibers=bench.n_spec)
    source = np.full((bench.n_spec, config.wavelength.size), 1e-17)
    source = source * simulator.simulated["source_flux"].unit
    generator = np.random.RandomState(1)  # what specsim takes

    def theirs() -> None:
        simulator.simulate(source_fluxes=source)
        simulator.generate_random_noise(generator)

    ours = _observe(bench).ours
    return Pair(ours, theirs, bench.n_spec, bench.n_spec)


def _sums(bench: Bench) -> tuple[np.ndarray, np.ndarray, Callable, Callable]:
    rows, weights = spline_weights(bench.bank, bench.draws.labels)
    slab = np.ones((64, 1024), dtype=np.float32)  # stays in the cache
    one = weights[:, :1].astype(np.float32) @ np.ones((1, 64), dtype=np.float32)
    times = -(-bench.bank.wave.size * rows.shape[1] // slab.size)
    return (
        rows,
        weights,
        lambda: combine(bench.bank, rows, weights),
        lambda: [one @ slab for _ in range(times)],
    )


def _sparse(bench: Bench) -> Pair:
    rows, weights, ours, bound = _sums(bench)
    coef = np.ascontiguousarray(bench.bank.coef.reshape(-1, bench.bank.wave.size))
    starts = np.arange(0, rows.size + 1, rows.shape[1])
    shape = (len(rows), len(coef))
    matrix = csr_array((weights.ravel().astype(np.float32), rows.ravel(), starts), shape=shape)
    return Pair(ours, lambda: matrix @ coef, len(rows), len(rows), bound)


def _embedding_bag(bench: Bench) -> Pair:
    import torch

    rows, weights, ours, bound = _sums(bench)
    coef = torch.from_numpy(np.ascontiguousarray(bench.bank.coef.reshape(-1, bench.bank.wave.size)))
    index, scale = torch.from_numpy(rows), torch.from_numpy(weights.astype(np.float32))

    def theirs() -> torch.Tensor:
        return torch.nn.functional.embedding_bag(index, coef, per_sample_weights=scale, mode="sum")

    return Pair(ours, theirs, len(rows), len(rows), bound)


def _statistics(bench: Bench) -> Pair:
    def theirs() -> tuple[np.ndarray, np.ndarray]:
        ratio = bench.flux / bench.error
        return np.median(ratio, axis=1), np.percentile(ratio, 95, axis=1)

    ours = lambda: snr_statistics(bench.flux, bench.error)  # noqa: E731
    return Pair(ours, theirs, bench.n_spec, bench.n_spec, lambda: bench.flux / bench.error)


def _error(bench: Bench) -> Pair:
    noise, conditions = bench.bank.noise, bench.draws.conditions
    few = range(min(N_PLAIN, bench.n_spec))
    return Pair(
        lambda: honest_error(noise, bench.flux, conditions),
        lambda: [error_plainly(noise, bench.flux[k], conditions[k]) for k in few],
        bench.n_spec,
        len(few),
        lambda: np.sqrt(bench.flux.astype(np.float64) ** 2) / 3.0,
    )


def _chunks(bench: Bench) -> tuple[Path, np.ndarray, list[bytes]]:
    path = bench.stored()
    flux = read_rows(open_column(path, "train", "flux_model"))
    parts = [flux[k : k + CHUNK_ROWS] for k in range(0, len(flux), CHUNK_ROWS)]
    return path, flux, [compress(part, b"lz4", 5, BITSHUFFLE, typesize=4) for part in parts]


def _write(bench: Bench) -> Pair:
    from starsmith.data_contract.dataset.shards import open_run

    path, flux, _ = _chunks(bench)
    column = open_run(path).columns["flux_model"]
    codecs = [BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=4), Crc32cCodec()]
    theirs = zarr.create_array(
        Path(bench.folder.name) / "theirs",
        shape=flux.shape,
        dtype="float32",
        shards=(-(-len(flux) // CHUNK_ROWS) * CHUNK_ROWS, flux.shape[1]),
        chunks=(CHUNK_ROWS, flux.shape[1]),
        compressors=codecs,
        overwrite=True,
    )
    parts = [flux[k : k + CHUNK_ROWS] for k in range(0, len(flux), CHUNK_ROWS)]
    return Pair(
        lambda: write_rows(path, "train", column, slice(0, len(flux)), flux),
        lambda: theirs.__setitem__(slice(None), flux),
        len(flux),
        len(flux),
        lambda: [compress(part, b"lz4", 5, BITSHUFFLE, typesize=4) for part in parts],
    )


def _read(bench: Bench) -> Pair:
    path, flux, packed = _chunks(bench)
    ours = open_column(path, "train", "flux_model")
    theirs = zarr.open_array(path / "train" / "flux_model", mode="r")
    return Pair(
        lambda: read_rows(ours),
        lambda: theirs[:],
        len(flux),
        len(flux),
        lambda: [decompress(chunk) for chunk in packed],
    )


def _resample(bench: Bench) -> Pair:
    import spectres

    wave = bench.bank.wave
    new = wave[4:-4:2] + 0.3 * (wave[1] - wave[0])
    operator = Operator.of(resampling_matrix(wave, new, "conserving"))
    some = range(min(N_PLAIN, bench.n_spec))
    flux, error = bench.flux.astype(np.float64), bench.error.astype(np.float64)
    mask = np.zeros(wave.size, dtype=np.uint32)
    seen = [Observed(flux=flux[k], error=error[k], mask=mask, wave=wave) for k in some]
    return Pair(
        lambda: [resample(one, new, operator=operator) for one in seen],
        lambda: [spectres.spectres(new, wave, flux[k], error[k]) for k in some],
        len(some),
        len(some),
        lambda: [operator.matrix @ flux[k] for k in some],
    )


def _transformer(bench: Bench) -> Pair:
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    from starsmith.learners.networks.blocks import TINY
    from starsmith.learners.networks.specvit import SpecViT

    patch, n_wave = 64, bench.bank.wave.size // 64 * 64
    ours = SpecViT(n_wave, 1, patch=patch, **TINY)
    config = ViTConfig(
        image_size=(1, n_wave),
        patch_size=(1, patch),
        num_channels=1,
        hidden_size=TINY["dim"],
        num_hidden_layers=TINY["depth"],
        num_attention_heads=TINY["n_head"],
        intermediate_size=4 * TINY["dim"],
        num_labels=1,
    )
    theirs = ViTForImageClassification(config)
    flux = torch.from_numpy(bench.flux[:64, :n_wave].copy())

    def step(network: Callable, flux: torch.Tensor) -> None:
        network(flux).square().mean().backward()

    image = flux[:, None, None, :]
    return Pair(
        lambda: step(ours, flux),
        lambda: step(lambda x: theirs(x).logits, image),
        len(flux),
        len(flux),
    )


def _ridge(bench: Bench) -> Pair:
    from sklearn.linear_model import Ridge

    from starsmith.learners.estimators.ridge import normal_equations

    flux = bench.flux[:, :: max(1, bench.bank.wave.size // N_PIXEL)]
    labels = bench.draws.labels[:, :1].astype(np.float32)
    peer = Ridge(alpha=1.0, solver="cholesky")
    return Pair(
        lambda: normal_equations(iter([(slice(None), flux)]), labels).solve(1.0),
        lambda: peer.fit(flux.astype(np.float64), labels.astype(np.float64)),
        len(flux),
        len(flux),
        lambda: flux.astype(np.float64).T @ flux.astype(np.float64),
    )


def _trees(bench: Bench) -> Pair:
    import lightgbm

    from starsmith.learners.estimators.trees import boosting_parameters
    from starsmith.learners.recipe import TreesRecipe

    flux = bench.flux[:, :: max(1, bench.bank.wave.size // N_PIXEL)]
    labels = bench.draws.labels[:, 0]
    ours = boosting_parameters(TreesRecipe()) | {"num_threads": 1, "verbose": -1}
    theirs = {"objective": "regression", "num_threads": 1, "verbose": -1}

    def train(parameters: dict) -> None:
        lightgbm.train(parameters, lightgbm.Dataset(flux, labels), num_boost_round=N_TREE)

    return Pair(lambda: train(ours), lambda: train(theirs), len(flux), len(flux))


SUMS = "multiply-adds in cache"
WORKS = (
    Work("noisy spectrum from labels", "plain numpy/scipy", "the same, a star at a time", _observe),
    Work(
        "noisy spectrum from labels",
        "desihub specsim",
        "theirs smears given spectra and has no honest error, ours interpolates them",
        _specsim,
        needs=("specsim", "desimodel", "desiutil"),
    ),
    Work("weighted sum of nodes", "scipy sparse", "the same", _sparse, bounded_by=SUMS),
    Work(
        "weighted sum of nodes",
        "torch embedding_bag",
        "the same",
        _embedding_bag,
        needs=("torch",),
        bounded_by=SUMS,
    ),
    Work("median and 95 % of S/N", "numpy", "the same", _statistics, bounded_by="the quotients"),
    Work("honest error", "plain numpy/scipy", "the same", _error, bounded_by="root and quotient"),
    Work("shard written", "zarr", "ours hashes the file as well", _write, bounded_by="the codec"),
    Work("shard read", "zarr", "ours checks headers as well", _read, bounded_by="the codec"),
    Work(
        "spectrum on other pixels",
        "SpectRes",
        "ours bridges bad pixels and has the correlation of neighbours",
        _resample,
        needs=("spectres",),
        bounded_by="the sparse product",
    ),
    Work(
        "step of a tiny transformer",
        "Hugging Face ViT",
        "the same width, depth, heads and patches; our head reads every token",
        _transformer,
        needs=("torch", "transformers"),
    ),
    Work(
        "ridge regression",
        "scikit-learn",
        "the same equations; ours takes blocks",
        _ridge,
        needs=("sklearn",),
        bounded_by="the Gram matrix",
    ),
    Work(
        "boosted trees",
        "lightgbm directly",
        "ours by the recipe, theirs by default",
        _trees,
        needs=("lightgbm",),
    ),
)
