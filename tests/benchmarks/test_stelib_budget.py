"""The bias budget reads labels that were put into a spectrum, and says which pixels told them."""

from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

ROOT = Path(__file__).resolve().parents[2]
LINES = (6563.0, 7000.0, 8502.0, 8700.0)


def toy(wave, teff, logg, m_h):
    """Four lines, the first of temperature, the last two of [M/H]."""
    flux = 1.0 + 1e-4 * (wave - 7500.0)
    depths = (0.3 + 1e-4 * (teff - 5000), 0.2 + 0.05 * logg, 0.3 + 0.1 * m_h, 0.2 + 0.1 * m_h)
    for centre, depth in zip(LINES, depths, strict=True):
        flux = flux * (1.0 - depth * np.exp(-0.5 * ((wave - centre) / 4.0) ** 2))
    return flux


def test_labels_put_in_are_read(monkeypatch):
    """Steps of 20 K, 0.02 and -0.03 come back to first order, told by the lines that have them."""
    monkeypatch.syspath_prepend(ROOT)
    budget = import_module("benchmarks.stelib_budget")
    wave, pixel = budget.fine_wave(), budget.WAVE[budget.use_pixels()]
    labels = (5000.0, 3.0, -0.5)
    jobs = budget.jobs_of(np.array(labels))
    made = np.array([toy(wave, *star) for star, _ in jobs])
    star = np.interp(budget.WAVE, wave, toy(wave, 5020.0, 3.02, -0.53))

    step, pixels = budget.reading(star, made, "default")

    assert step == pytest.approx([20.0, 0.02, -0.03], rel=0.05)  # normalisation is not linear
    near = np.min(np.abs(pixel[:, None] - np.array(LINES[2:])), axis=1) < 15.0
    assert pixels[near].sum() == pytest.approx(-0.03, rel=0.1)
    assert budget.by_window(pixels[None])[0][0] == pytest.approx(LINES[2], abs=budget.WINDOW)


def test_least_squares_between_nodes_read_labels_and_the_width_of_lines(monkeypatch):
    """A star of no node, its lines wider than those of the nodes, and moving."""
    monkeypatch.syspath_prepend(ROOT)
    fit = import_module("benchmarks.stelib_fit")
    wave = fit.fine_wave()
    flux = [toy(wave, *labels) for labels in product(*fit.AXES.values())]
    shape = [axis.size for axis in fit.AXES.values()]
    nodes = np.log(flux).reshape(*shape, -1)
    true = (5120.0, 2.6, -0.4, 20.0, 3.6)  # K, dex, dex, km/s, Å
    moved = wave * (1.0 + true[3] / fit.LIGHT_SPEED_KM_S)
    wider = np.sqrt(true[4] ** 2 - fit.FWHM**2) * fit.FWHM_TO_SIGMA
    star = np.interp(fit.WAVE, moved, gaussian_filter1d(toy(wave, *true[:3]), wider))

    found = fit.fitted(star, nodes, fit.Recipe(width=True))

    assert found[:3] == pytest.approx(true[:3], rel=0.02)
    assert found[3:] == pytest.approx(true[3:], rel=0.05)
    assert fit.Recipe(cores=False).used().sum() == fit.use_pixels().sum() - 9
