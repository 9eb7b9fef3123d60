"""The number of threads changes no bit of what the kernels make, whatever the task."""

from dataclasses import astuple

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from starsmith.data_contract.kernels.lsf import convolve_lsf
from starsmith.data_contract.kernels.shift import collect_pixels
from starsmith.data_contract.noise.covariance import noise_modes
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.kernels.gram import fill_gram
from starsmith.fisher.posterior.best_fit import FitOptions, best_fit
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.synthesis import Sampling, synthesize

N_STAR = 301  # not a multiple of the threads, nor of a block
PRIOR = Prior.default().with_ranges(seeing=(0.6, 1.4), zenith_angle=(0.0, 40.0))


def observed(bank, noise=None, error="observed"):
    draws = draw_stars(bank, PRIOR, 5, "train", np.arange(N_STAR))
    seen = observe(bank, draws, error=error, **({} if noise is None else {"noise": noise}))
    return seen.flux, seen.error, seen.mask, seen.snr


def plain_noise(bank):
    """The calculator's own noise, true and smooth error."""
    return *observed(bank), *observed(bank, error="smooth")


def every_term(bank):
    """Photons counted, an error of the sky in many pixels at once, lost pixels, drift."""
    seen = observed(
        bank,
        NoiseModel(
            sky_floor="correlated",
            telluric_residual=0.05,
            flux_calibration=0.03,
            cosmic_rays=0.035,
            counts="poisson",
            seeing_drift=0.1,
            zenith_drift=3.0,
        ),
    )
    draws = draw_stars(bank, PRIOR, 5, "train", np.arange(N_STAR))
    correlated = NoiseModel(sky_floor="correlated")
    return *seen, noise_modes(bank.noise, correlated, seen[0], draws.conditions)


def ceilings(bank):
    """Cramér-Rao bounds and posterior means of a few stars."""
    table = ceiling(bank, PRIOR, n_star=61, n_template=1500, snr_edges=(0.0, np.inf))
    return [x for x in astuple(table.stars) if isinstance(x, np.ndarray)]


def templates(bank):
    """Best fits, most of them stopped on the way."""
    seen = observe(bank, draw_stars(bank, PRIOR, 5, "test", np.arange(31)))
    found = best_fit(bank, PRIOR, seen.flux, seen.error, FitOptions(iterations=30))
    return found.labels, found.sigma, found.chi2_gain


def node_information(bank):
    """Random spectra on random stencils."""
    rng = np.random.default_rng(0)
    flux = rng.random((N_STAR, 90), dtype=np.float32)
    nodes = np.arange(N_STAR, dtype=np.int32)
    neighbours = rng.integers(0, N_STAR, (N_STAR, 3, 4)).astype(np.int32)
    weights = rng.standard_normal((N_STAR, 3, 4)).astype(np.float32)
    scale = rng.random((2, N_STAR), dtype=np.float32)
    gram = np.empty((2, N_STAR, 3, 3))
    floor, slope = np.full((2, 90), 0.1, dtype=np.float32)
    fill_gram(gram, flux, nodes, neighbours, weights, scale, floor, slope)
    return (gram,)


def moved_pixels(bank):
    """Radial velocities of stars, and a line-spread function of varying width."""
    rng = np.random.default_rng(0)
    samples = rng.random((N_STAR, 120), dtype=np.float32)
    flux = np.empty((N_STAR, 80), dtype=np.float32)
    weights = rng.random((5, 80, 4), dtype=np.float32)
    first = np.arange(20, 100)
    collect_pixels(flux, samples, first, weights, rng.uniform(-5.0, 5.0, N_STAR))
    return flux, convolve_lsf(rng.random((7, 120)), np.linspace(2.0, 5.0, 120))


def synthesis(bank):
    """Lines, bands, hydrogen and the transfer of a cool and of a warm star."""
    window = Sampling(wave_min=8480.0, wave_max=8700.0)
    stars = [synthesize(*star, sampling=window) for star in ((4000.0, 1.0, 0.0), (6000.0, 4.0, -1))]
    return [x for star in stars for x in (star.flux, star.continuum)]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba may use one thread only")
@pytest.mark.parametrize(
    "task",
    [plain_noise, every_term, ceilings, templates, node_information, moved_pixels, synthesis],
)
def test_the_number_of_threads_changes_no_bit(task, toy_bank):
    """One thread and all of them: a race, or a sum in the order of arrival, would differ."""
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = task(toy_bank)
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
        together = task(toy_bank)
    finally:
        numba.set_num_threads(before)

    assert len(alone) == len(together) >= 1
    for one, all_ in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, all_)


@pytest.mark.parametrize("n_thread", [1, 2])
def test_fits_hold_linear_algebra_to_one_thread(toy_bank, n_thread, monkeypatch):
    """Matrices are so small that more threads would only wait, at eight times the CPU time."""
    seen = observe(toy_bank, draw_stars(toy_bank, PRIOR, 5, "test", np.arange(3)))
    found = []

    def looked_at(*args, **options):
        found.append({pool["num_threads"] for pool in blas()})
        return plain(*args, **options)

    def blas():
        return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]

    plain = np.linalg.qr
    monkeypatch.setattr(np.linalg, "qr", looked_at)
    with threadpool_limits(n_thread, user_api="blas"):
        best_fit(toy_bank, PRIOR, seen.flux, seen.error, FitOptions(iterations=3))
        assert found
        assert set().union(*found) <= {1}
        assert {pool["num_threads"] for pool in blas()} <= {n_thread, 1}
