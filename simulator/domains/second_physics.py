"""A second physics: the same stars by a synthesis with other lines. What a survey may hold instead.

Grid B is made as grid A is, node by node, but its atomic lines have another microturbulence, keyed
errors of log gf, the weakest lines missing, and its stars have [α/M] that rises where metals fall.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.files.user_cache import cache_folder, kept_or_made
from starsmith.data_contract.grid.grid_file import GridData, read_grid, write_grid
from starsmith.simulator.grids.demo import build_demo_grid, demo_cache_key
from starsmith.simulator.synthesis.atmosphere import build_atmosphere
from starsmith.simulator.synthesis.line_list import LineList
from starsmith.simulator.synthesis.synthetic_spectrum import Sampling, synthesize_atmosphere

__all__ = ["LAB_AXES", "Physics", "change_of", "first_grid", "second_grid"]

LAB_AXES = {
    "teff": np.linspace(4000.0, 6000.0, 5),
    "logg": np.linspace(1.0, 5.0, 5),
    "m_h": np.linspace(-2.5, 0.5, 7),
}
"""Nodes of both grids of the laboratory: what lies between them is splines, in truth and model."""

MEAN_TEMPERATURE = 4500.0  # K; of the layers that weak lines form in: ranks lines by strength
LOG_GF_LIMIT = 3.0  # σ; larger errors are cut there


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What grid B has otherwise.

    Attributes
    ----------
    microturbulence : float
        Factor on that of grid A.
    log_gf_error : float
        Standard deviation of errors of log gf [dex], of a line keyed by seed and wavelength.
    missing : float
        Share of the weakest atomic lines that is left out.
    alpha : float
        [α/M] of stars of [M/H] -1 and below; falls linearly to 0 at [M/H] 0.
    seed : int
    """

    microturbulence: float = 0.75
    log_gf_error: float = 0.1
    missing: float = 0.3
    alpha: float = 0.3
    seed: int = 0

    def __post_init__(self):
        if not (0.0 <= self.missing < 1.0 and self.microturbulence > 0 <= self.log_gf_error):
            raise ConfigError(
                f"second physics: missing = {self.missing}, microturbulence = "
                f"{self.microturbulence}, log_gf_error = {self.log_gf_error}; expected a share "
                "below 1, a positive number, one of 0 or more"
            )

    def alpha_of(self, m_h: float) -> float:
        """[α/M] of a star of some [M/H] [dex]."""
        return self.alpha * float(np.clip(-m_h, 0.0, 1.0))


def change_of(physics: Physics) -> Callable[[LineList], LineList]:
    """What turns lines of grid A into those of grid B."""

    @lru_cache(maxsize=4)
    def errors(size: int, first: float, last: float, key: bytes) -> np.ndarray:
        waves = np.frombuffer(key)
        return np.array(
            [
                np.random.default_rng([physics.seed, 5, round(1e4 * wave)]).standard_normal()
                for wave in waves.tolist()
            ]
        )

    def change(lines: LineList) -> LineList:
        wave = np.ascontiguousarray(lines.wave, dtype=np.float64)
        drawn = errors(wave.size, float(wave[0]), float(wave[-1]), wave.tobytes())
        shift = physics.log_gf_error * np.clip(drawn, -LOG_GF_LIMIT, LOG_GF_LIMIT)
        strength = np.log10(lines.gf) - lines.e_low * 5040.0 / MEAN_TEMPERATURE
        kept = strength >= np.quantile(strength, physics.missing)
        fields = {
            name: getattr(lines, name)[kept]
            for name in ("wave", "e_low", "gamma_rad", "gamma_stark", "gamma_vdw")
        }
        fields |= {name: getattr(lines, name)[kept] for name in ("abo_sigma", "abo_alpha")}
        return replace(
            lines,
            species=tuple(np.array(lines.species)[kept].tolist()),
            gf=(lines.gf * 10.0**shift)[kept],
            **fields,
        )

    return change


def _kept(name: str, key: str, make: Callable[[], GridData]) -> GridData:
    path = cache_folder() / "grids" / f"{name}-{key}.zarr"

    def save(grid: GridData, place: Path) -> None:
        write_grid(place, grid)

    return kept_or_made(path, read_grid, make, save)


def first_grid(
    axes: Mapping[str, np.ndarray] | None = None,
    sampling: Sampling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GridData:
    """Grid A on the laboratory's nodes, built once and kept in the user's cache."""
    axes = LAB_AXES if axes is None else axes
    key = demo_cache_key(axes, sampling)
    return _kept(
        "lab-a", key, lambda: build_demo_grid(axes=axes, sampling=sampling, progress=progress)
    )


def second_grid(
    physics: Physics,
    axes: Mapping[str, np.ndarray] | None = None,
    sampling: Sampling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GridData:
    """Grid B on the laboratory's nodes, built once and kept in the user's cache.

    Raises
    ------
    GridError
        If the axes are not Teff, log g and [M/H].
    """
    axes = LAB_AXES if axes is None else axes
    if set(axes) != {"teff", "logg", "m_h"}:
        raise GridError(f"second physics: axes {list(axes)}; expected teff, logg and m_h")
    text = json.dumps(asdict(physics), sort_keys=True) + demo_cache_key(axes, sampling)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _kept("lab-b", key, lambda: _synthesised(physics, axes, sampling, progress))


def _synthesised(
    physics: Physics,
    axes: Mapping[str, np.ndarray],
    sampling: Sampling | None,
    progress: Callable[[int, int], None] | None,
) -> GridData:
    sampling = sampling or Sampling()
    change, spectra = change_of(physics), []
    nodes = list(product(*(axes[name].tolist() for name in ("teff", "logg", "m_h"))))
    for k, (teff, logg, m_h) in enumerate(nodes):
        atmosphere = build_atmosphere(teff, logg, m_h, physics.alpha_of(m_h))
        atmosphere = replace(
            atmosphere, microturbulence=physics.microturbulence * atmosphere.microturbulence
        )
        made = synthesize_atmosphere(atmosphere, sampling, change)
        spectra.append(made.flux.astype(np.float32))
        if progress is not None:
            progress(k + 1, len(nodes))
    shape = tuple(axes[name].size for name in ("teff", "logg", "m_h"))
    return GridData(
        name="lab-b",
        axes={name: axes[name] for name in ("teff", "logg", "m_h")},
        wave=made.wave,
        flux=np.stack(spectra).reshape(*shape, -1),
        valid=np.ones(shape, dtype=bool),
        resolution=made.resolution,
        provenance={"second_physics": asdict(physics)},
        notice="SECOND PHYSICS OF THE LABORATORY (own LTE synthesis): not for science",
    )
