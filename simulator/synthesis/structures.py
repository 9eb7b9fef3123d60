"""Structures of ATLAS9 models (Kurucz 1993): T, gas pressure and mean opacity on optical depth.

The packaged table ``atlas9.npz`` holds 1,764 models of 3500-7000 K, log g 0-5, [M/H] -3 to +1
(microturbulence 2 km/s, mixing length 1.25) at 50 depths, rounded to 1e-4 in ln T and 1e-3 in ln P
and ln κ. Between models, tensor cubic splines. Their solar iron is 7.67 (Anders & Grevesse 1989),
ours 7.50: structures are looked up at the same number of iron atoms.

Models of cool metal-poor dwarfs scatter by about 1 % in T from one to the next, more than between
their depths: there, `NOISY`, a surface is laid through them whose second differences are small.
"""

from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib.resources import files

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.synthesis_tables import PACKAGE

__all__ = [
    "IRON_SHIFT",
    "Structure",
    "atlas9_structure",
    "has_structure",
    "smooth_surface",
]

TABLE = "atlas9.npz"
ROUNDING = {"temperature": 1e-4, "pressure": 1e-3, "opacity": 1e-3}  # of the natural logarithm
DIFFERENCED = (3, 1)  # axes along which the table keeps differences: depth, log g
NOISY = {"teff": (0.0, 4250.0), "logg": (2.5, 5.0), "m_h": (-3.0, -1.0)}  # labels of ATLAS9
STRAY = ((3750.0, 4.5, -3.0), (3750.0, 5.0, -3.0))  # 7 % cooler than all models around them
STIFFNESS = 0.5  # weight of squared second differences beside squared distances from the models
IRON_SHIFT = 7.50 - 7.67  # our solar iron less theirs [dex]


@dataclass(frozen=True)
class Structure:
    """A model's layers on `depth_grid`.

    Attributes
    ----------
    temperature, pressure, opacity : float64, shape (n_depth,)
        [K]; gas pressure [dyn/cm²]; Rosseland mean [cm²/g].
    m_h : float
        [M/H] it was interpolated at, on ATLAS9's scale.
    genuine : bool
        Whether models surround the labels asked for; if not, their trends were continued.
    """

    temperature: np.ndarray
    pressure: np.ndarray
    opacity: np.ndarray
    m_h: float
    genuine: bool


@dataclass(frozen=True)
class ModelTable:
    axes: tuple[np.ndarray, ...]  # Teff, log g, their [M/H]
    valid: np.ndarray  # (n_teff, n_logg, n_m_h)
    values: np.ndarray  # logarithms, (n_teff, n_logg, n_m_h, 3 n_depth)


@lru_cache(maxsize=1)
def model_table() -> ModelTable:
    """The packaged models, smooth where they are `NOISY`; see there and in `_continued`."""
    with (
        files(PACKAGE).joinpath(TABLE).open("rb") as stream,
        np.load(stream, allow_pickle=False) as file,
    ):
        parts = []
        for name, rounding in ROUNDING.items():
            steps = file[name].astype(np.int64)
            for axis in reversed(DIFFERENCED):
                steps = np.cumsum(steps, axis=axis)
            parts.append(steps * rounding)
        axes = tuple(file[name] for name in ("teff", "logg", "m_h"))
        valid = file["valid"].copy()
    for labels in STRAY:
        valid[tuple(int(np.searchsorted(*pair)) for pair in zip(axes, labels, strict=True))] = False
    return _continued(ModelTable(axes, valid, _smooth(axes, valid, np.concatenate(parts, axis=-1))))


def _smooth(axes: tuple[np.ndarray, ...], valid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of models where those that are `NOISY` are replaced by a smooth surface."""
    inside = [
        (axis >= low) & (axis <= high)
        for axis, (low, high) in zip(axes, NOISY.values(), strict=True)
    ]
    beside = [np.flatnonzero(np.convolve(part, [True] * 3, "same")) for part in inside]
    box, out = np.ix_(*beside), values.copy()
    noisy = reduce(np.multiply.outer, [part[k] for part, k in zip(inside, beside, strict=True)])
    out[box] = smooth_surface(values[box], valid[box], noisy, STIFFNESS)
    return out


def smooth_surface(
    values: np.ndarray, valid: np.ndarray, noisy: np.ndarray, stiffness: float
) -> np.ndarray:
    """Replace the noisy values on a regular grid by a surface that bends little.

    It minimises the squared distance from noisy values that are valid, plus ``stiffness`` times the
    squares of all second differences along each axis; values that are not noisy stay.

    Parameters
    ----------
    values : float64 array, shape (n_1, n_2, n_3, n_value)
    valid, noisy : bool arrays, shape (n_1, n_2, n_3)

    Returns
    -------
    float64 array, shape (n_1, n_2, n_3, n_value)
    """
    bends = []
    for k, size in enumerate(noisy.shape):
        parts = [np.eye(n) for n in noisy.shape]
        parts[k] = np.diff(np.eye(size), 2, axis=0)
        bends.append(reduce(np.kron, parts))
    bend, free, flat = np.concatenate(bends), noisy.ravel(), values.reshape(noisy.size, -1).copy()
    weight = valid.ravel()[free].astype(np.float64)
    pull = -fixed.matmul(bend[:, free].T, fixed.matmul(bend[:, ~free], flat[~free]))
    matrix = stiffness * fixed.matmul(bend[:, free].T, bend[:, free]) + np.diag(weight)
    flat[free] = fixed.solve(matrix, stiffness * pull + weight[:, None] * flat[free])
    return flat.reshape(values.shape)


def _continued(table: ModelTable) -> ModelTable:
    """Holes that are left, and one log g beyond each edge, continued linearly along log g."""
    teff, logg, m_h = table.axes
    step = logg[1] - logg[0]
    logg = np.concatenate([[logg[0] - step], logg, [logg[-1] + step]])
    valid = np.pad(table.valid, ((0, 0), (1, 1), (0, 0)))
    values = np.pad(table.values, ((0, 0), (1, 1), (0, 0), (0, 0)))
    for i, k in np.ndindex(teff.size, m_h.size):
        filled = valid[i, :, k] | values[i, :, k].any(axis=-1)
        there = np.flatnonzero(filled)
        for j in range(there[0] - 1, -1, -1):  # linear in log g, whose nodes are even
            values[i, j, k] = 2.0 * values[i, j + 1, k] - values[i, j + 2, k]
        for j in range(there[-1] + 1, logg.size):
            values[i, j, k] = 2.0 * values[i, j - 1, k] - values[i, j - 2, k]
    return ModelTable(axes=(teff, logg, m_h), valid=valid, values=values)


def has_structure(teff: float, logg: float, m_h: float) -> bool:
    """Whether ATLAS9 models surround these labels ([M/H] on our scale)."""
    table = model_table()
    cells = []
    for axis, value in zip(table.axes, (teff, logg, m_h + IRON_SHIFT), strict=True):
        if not axis[0] <= value <= axis[-1]:
            return False
        right = int(np.searchsorted(axis, value))
        cells.append(slice(right if axis[right] == value else right - 1, right + 1))
    return bool(table.valid[tuple(cells)].all())


def atlas9_structure(teff: float, logg: float, m_h: float) -> Structure:
    """Structure at labels ([M/H] on our scale).

    Beyond the models T, P and κ are continued smoothly (`NOISY`) or linearly along log g by at most
    0.5 dex, and held along Teff and [M/H]; ``genuine`` is False there.
    """
    table = model_table()
    found = table.values
    for axis, value in zip(table.axes, (teff, logg, m_h + IRON_SHIFT), strict=True):
        found = fixed.matmul(_weights(tuple(axis), value), found.reshape(axis.size, -1))
    log_t, log_p, log_k = found.reshape(len(ROUNDING), -1)
    return Structure(
        temperature=teff * fixed.exp(log_t),
        pressure=fixed.exp(log_p),
        opacity=fixed.exp(log_k),
        m_h=min(max(m_h + IRON_SHIFT, table.axes[2][0]), table.axes[2][-1]),
        genuine=has_structure(teff, logg, m_h),
    )


@lru_cache(maxsize=64)  # stars of a grid share most of their labels
def _weights(axis: tuple[float, ...], value: float) -> np.ndarray:
    """Weights of nodes in a cubic spline (not-a-knot), (n_node,); held beyond the ends."""
    inside = min(max(value, axis[0]), axis[-1])
    return scipy.interpolate.CubicSpline(axis, np.eye(len(axis)))(inside)
