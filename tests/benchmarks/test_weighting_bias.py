"""Weights from the observed error pull a spectrum's amplitude down; smooth ones do not."""

import runpy
from pathlib import Path

from starsmith.simulator.prior import Prior

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "weighting_bias.py"


def test_the_smooth_error_is_the_one_to_weight_with(toy_bank):
    prior = Prior.default().with_ranges(
        mag=(18.0, 19.0), seeing=(0.6, 1.4), zenith_angle=(0.0, 40.0)
    )
    found = runpy.run_path(str(SCRIPT))["biases"](toy_bank, prior, n_star=1000)
    _, shift, scatter = found["observed"]
    assert shift < -4.0 * scatter
    for kind in ("true", "smooth"):
        _, shift, scatter = found[kind]
        assert abs(shift) < 4.0 * scatter
