"""Surveys of the laboratory: pixels, line widths and noise by template, from one TOML file.

Noise has no exposure-time calculator behind it: sigma = shape(wave) x level / SNR, with a share of
the star's own photons. Every figure of a file carries its source, or says "assumed".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.files.outside import read_toml
from starsmith.data_contract.kernels.lsf import N_SIGMA

__all__ = ["Survey", "list_surveys", "load_survey"]

NOISE = ("snr", "photon_share", "correlation")
ARM = ("pixels", "fwhm", "noise")
SPACINGS = ("linear", "log10")
FEWEST_PIXELS = 32
MOST_PIXELS = 10**5


@dataclass(frozen=True, eq=False)
class Survey:
    """What a survey makes of starlight.

    Attributes
    ----------
    name : str
    wave : float64 array, shape (n_wave,)
        Centres of the pixels, increasing [vacuum Å]; where arms overlap the bluer one has them.
    fwhm : float64 array, shape (n_wave,)
        Of lines [Å].
    shape : float64 array, shape (n_wave,)
        1σ over its median.
    snr : (float, float)
        Range of S/N at the median, uniform in its logarithm.
    photon_share : float
        Of the variance, at the star's mean flux, that comes from the star's own photons.
    correlation : float
        FWHM of the correlation of noise [pixel]; 0 for none.
    sources : dict of str to str
        Where each figure is from.
    """

    name: str
    wave: np.ndarray
    fwhm: np.ndarray
    shape: np.ndarray
    snr: tuple[float, float]
    photon_share: float
    correlation: float
    sources: dict[str, str]

    def cut(self, grid_wave: np.ndarray) -> "Survey":
        """The pixels that a grid covers, with room for the line profile.

        Raises
        ------
        GridError
            If hardly any is covered.
        """
        room = N_SIGMA * FWHM_TO_SIGMA * self.fwhm + np.gradient(self.wave)
        inside = (self.wave - room > grid_wave[0]) & (self.wave + room < grid_wave[-1])
        if inside.sum() < FEWEST_PIXELS:
            raise GridError(
                f"survey {self.name!r} sees {self.wave[0]:.0f}-{self.wave[-1]:.0f} Å, the grid has "
                f"{grid_wave[0]:.0f}-{grid_wave[-1]:.0f} Å: {inside.sum()} pixels are covered; "
                "choose another survey, or give a wider --grid"
            )
        shape = self.shape[inside]
        return Survey(
            self.name,
            self.wave[inside],
            self.fwhm[inside],
            shape / np.median(shape),
            self.snr,
            self.photon_share,
            self.correlation,
            self.sources,
        )

    def card(self) -> dict:
        """What is written beside data of this survey."""
        return {
            "name": self.name,
            "n_wave": int(self.wave.size),
            "wave": [float(self.wave[0]), float(self.wave[-1])],
            "snr": list(self.snr),
            "photon_share": self.photon_share,
            "correlation": self.correlation,
            "sources": self.sources,
        }


def list_surveys() -> list[str]:
    """Names of the packaged surveys."""
    folder = files("starsmith.simulator.domains") / "surveys"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")


def load_survey(name: str | Path) -> Survey:
    """Packaged survey of a name, or one from a TOML file.

    Raises
    ------
    ConfigError
        If there is none, or a key is unknown, missing, without source, or holds what it cannot.
    """
    path = Path(name)
    if str(name) in list_surveys():
        path = files("starsmith.simulator.domains") / "surveys" / f"{name}.toml"
    elif path.suffix != ".toml":
        raise ConfigError(
            f"survey {str(name)!r}: choose one of {', '.join(list_surveys())}, or give a .toml file"
        )
    table = read_toml(path, ConfigError)
    try:
        return _survey(table, str(name))
    except (KeyError, TypeError, ValueError) as problem:
        told = problem.args[0] if isinstance(problem, KeyError) else problem
        raise ConfigError(f"survey {name}: {told} is missing or of another kind") from None


def _survey(table: Mapping, origin: str) -> Survey:
    _only(table, ("name", "noise", "arm"), origin)
    noise = table["noise"]
    _only(noise, (*NOISE, *(f"{n}_source" for n in NOISE)), f"{origin} [noise]")
    sources = {name: _source(noise, name, origin) for name in NOISE}
    parts, end = [], 0.0
    for arm in table["arm"]:
        where = f"{origin}, arm {arm['name']}"
        _only(arm, ("name", *ARM, *(f"{n}_source" for n in ARM)), where)
        sources |= {f"{arm['name']}.{n}": _source(arm, n, where) for n in ARM}
        wave = _pixels(arm["pixels"], where)
        wave = wave[wave > end]
        if wave.size:
            end = wave[-1]
            parts.append(
                (wave, _curve(arm["fwhm"], wave, where), _curve(arm["noise"], wave, where))
            )
    wave, fwhm, shape = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    low, high = (float(value) for value in noise["snr"])
    share, correlation = float(noise["photon_share"]), float(noise["correlation"])
    if not (0 < low <= high and 0 <= share <= 1 and 0 <= correlation <= 50):
        raise ConfigError(
            f"{origin}: snr {low}..{high}, photon_share {share}, correlation {correlation}; "
            "expected two rising positive numbers, a share, pixels up to 50"
        )
    if correlation and share:
        raise ConfigError(
            f"{origin}: photon_share {share} with correlation {correlation}; correlated noise "
            "is of the template alone: photon_share 0"
        )
    return Survey(
        str(table["name"]), wave, fwhm, shape / np.median(shape), (low, high), share, correlation,
        sources,
    )  # fmt: skip


def _only(table: Mapping, known: tuple[str, ...], origin: str) -> None:
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(f"survey {origin}: unknown keys {unknown}; known are {sorted(known)}")


def _source(table: Mapping, name: str, origin: str) -> str:
    text = table.get(f"{name}_source")
    if not (isinstance(text, str) and text.strip()):
        raise ConfigError(f'survey {origin}: {name}_source is missing; say whence, or "assumed"')
    return text


def _pixels(table: Mapping, origin: str) -> np.ndarray:
    _only(table, ("start", "step", "count", "spacing"), origin)
    count, spacing = int(table["count"]), table["spacing"]
    if not (1 < count <= MOST_PIXELS and spacing in SPACINGS and table["step"] > 0):
        raise ConfigError(
            f"survey {origin}: pixels {dict(table)}; expected a step above 0, 2 to {MOST_PIXELS} "
            f"of them, spacing one of {', '.join(SPACINGS)}"
        )
    place = float(table["start"]) + float(table["step"]) * np.arange(count)
    return place if spacing == "linear" else 10.0**place


def _curve(table: Mapping, wave: np.ndarray, origin: str) -> np.ndarray:
    """Straight lines between stated points; beyond them their ends."""
    _only(table, ("wave", "value"), origin)
    at, value = (np.asarray(table[name], dtype=np.float64) for name in ("wave", "value"))
    if at.shape != value.shape or not (np.diff(at) > 0).all() or not (value > 0).all():
        raise ConfigError(f"survey {origin}: {dict(table)}; expected rising wave, positive values")
    return np.interp(wave, at, value)
