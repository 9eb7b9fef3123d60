"""Carry ATLAS9 model structures over into the compact table of the synthesizer.

    python -m benchmarks.atlas9_table atlas9_structures.npz simulator/synthesis/atlas9.npz

The input holds the models on their own 72 layers (log τ_Ross from -6.875 in steps of 0.125):
``teff``, ``logg``, ``m_h`` nodes, ``n_layer`` (0: no model), ``temperature`` [K], ``p_gas``
[dyn/cm²] and ``kappa_ross`` [cm²/g]. Kurucz (1993, CD-ROM 13) computed them; they are re-sampled to
the depths of `depth_grid` by cubic splines of the logarithm, rounded (`ROUNDING`), and stored as
differences along depth and gravity, which compress threefold.
"""

import sys

import numpy as np
from scipy.interpolate import CubicSpline

from starsmith.simulator.synthesis.atmosphere import depth_grid
from starsmith.simulator.synthesis.structures import DIFFERENCED, ROUNDING

QUANTITIES = {"temperature": "temperature", "pressure": "p_gas", "opacity": "kappa_ross"}
TEFF_MAX = 7000.0  # a margin around the grid, 6500 K [K]
FIRST, STEP = -6.875, 0.125  # log τ of ATLAS9's layers


def main(source: str, target: str) -> None:
    """Write the table and print how large it is."""
    with np.load(source) as file:
        kept = file["teff"] <= TEFF_MAX
        valid = file["n_layer"][kept] > 0
        axes = {"teff": file["teff"][kept], "logg": file["logg"], "m_h": file["m_h"]}
        columns = {name: file[key][kept] for name, key in QUANTITIES.items()}
    layers = FIRST + STEP * np.arange(columns["temperature"].shape[-1])
    log_tau = np.log10(depth_grid())
    packed = {}
    for name, column in columns.items():
        value = np.log(np.where(valid[..., None], column, 1.0).astype(np.float64))
        value = CubicSpline(layers, value, axis=-1)(log_tau)
        if name == "temperature":
            value -= np.log(axes["teff"])[:, None, None, None]
        steps = np.rint(value / ROUNDING[name]).astype(np.int64)
        steps = nearest_gravity(steps, valid)
        for axis in DIFFERENCED:
            steps = np.diff(steps, axis=axis, prepend=0)
        if np.abs(steps).max() >= 2**15:
            raise ValueError(f"{name}: differences do not fit 16 bits")
        packed[name] = steps.astype(np.int16)
    np.savez_compressed(target, valid=valid, **axes, **packed)
    print(f"{valid.sum()} models, {valid.size - valid.sum()} holes")


def nearest_gravity(steps: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Where there is no model, that of the nearest log g; it is never used as if it were one."""
    filled = steps.copy()
    gravity = np.arange(valid.shape[1])
    for i, j, k in zip(*np.nonzero(~valid), strict=True):
        there = gravity[valid[i, :, k]]
        filled[i, j, k] = steps[i, there[np.abs(there - j).argmin()], k]
    return filled


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
