"""The bias budget reads labels that were put into a spectrum, and says which pixels told them."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

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
