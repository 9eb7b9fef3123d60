"""An instrument: telescope, fibre, air and sky in front of one or several spectrograph arms."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.described import described
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import MOST_TOML, one_line, read_file
from starsmith.simulator.instruments.dust import law_curve, law_named
from starsmith.simulator.instruments.figure_checks import covers
from starsmith.simulator.instruments.parts import (
    LSF_MODELS,
    Arm,
    Atmosphere,
    Fibre,
    Sky,
    Telescope,
)

__all__ = ["BUILTIN", "Instrument", "JoinedInstrument", "with_extinction", "with_source"]

BUILTIN = Path(__file__).parent
LAW = "law:"  # of a dust_table that is a published law


@described
@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A complete instrument, as read from one file.

    Attributes
    ----------
    name, description : str
    telescope, fibre, atmosphere, sky : dataclasses
        What all arms of the file share.
    arms : tuple of Arm
    folder : Path
        Where the tables named in the file lie, unless they are built in.
    dust_table : str
        Curve of interstellar dust in rows ``wave_nm,a_per_ebv``, or ``law:`` and a published
        law with its R_V, as ``law:F19:3.1``; the built-in one if empty.
    """

    name: str
    description: str
    telescope: Telescope
    fibre: Fibre
    atmosphere: Atmosphere
    sky: Sky
    arms: tuple[Arm, ...]
    folder: Path
    dust_table: str = ""

    def __post_init__(self):
        _check_names(self.arms)
        for arm in self.arms:
            covers(self.atmosphere, "extinction_wave_nm", arm.wave_min_nm, arm.wave_max_nm)

    def _facts(self) -> dict[str, object]:
        return {
            "name": self.name,
            "description": self.description,
            "arms": " ".join(arm.name for arm in self.arms),
        }

    @property
    def arm(self) -> Arm:
        """The only arm; ask `by_arm` where there may be more."""
        (only,) = self.arms
        return only

    @cached_property
    def by_arm(self) -> tuple["Instrument", ...]:
        """The same instrument with each arm by itself."""
        if len(self.arms) == 1:
            return (self,)
        return tuple(replace(self, arms=(arm,)) for arm in self.arms)

    @cached_property
    def wave(self) -> np.ndarray:
        """Pixel centres of one arm after the other, vacuum, shape (n_wave,) [Å]."""
        return np.concatenate([arm.wave_nm for arm in self.arms]) * ANGSTROM_PER_NM

    def lsf_fwhm(self, wave: np.ndarray) -> np.ndarray:
        """Full width at half maximum of the pixel-free line profile at ``wave`` [both Å]."""
        arm = self.arm
        fwhm_pixel = np.interp(wave / ANGSTROM_PER_NM, arm.lsf_wave_nm, arm.lsf_fwhm_pixel)
        return fwhm_pixel * arm.dispersion_nm * ANGSTROM_PER_NM

    @cached_property
    def dust_curve(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Wavelength [nm] and A/E(B-V) of the file's own dust; None for the built-in curve."""
        if not self.dust_table:
            return None
        if self.dust_table.startswith(LAW):
            return law_curve(self.dust_table.removeprefix(LAW))
        wave_nm, ratio = self.table(self.dust_table)
        return wave_nm, ratio

    def table(self, name: str) -> np.ndarray:
        """Columns of a CSV table beside the instrument file, or built in.

        Parameters
        ----------
        name : str
            File of one header line and rows ``wave_nm,value``; lines with ``#`` are comments.

        Returns
        -------
        columns : float64 array, shape (2, n_row)
            Wavelength, increasing [nm], and value.
        """
        try:
            text = self._table_bytes(name).decode()
            rows = [row for row in text.splitlines() if row[:1] != "#"]
            columns = np.loadtxt(rows, delimiter=",", skiprows=1, ndmin=2).T
        except ValueError as error:
            raise ConfigError(f"table {name!r} is not columns of numbers: {error}") from None
        if len(columns) != 2 or not np.all(np.diff(columns[0]) > 0):
            raise ConfigError(f"table {name!r} needs rows wave_nm,value with wave_nm increasing")
        return columns

    def table_path(self, name: str) -> Path:
        """Where a table lies: beside the instrument file, or built in; ConfigError if nowhere."""
        for folder in (self.folder, BUILTIN):
            if (source := folder / name).is_file():
                return source
        raise ConfigError(
            f"instrument {self.name!r} names the table {name!r}, which is neither in "
            f"{self.folder} nor built in; put the file there"
        )

    def _table_bytes(self, name: str) -> bytes:
        path = self.table_path(name)
        try:
            return read_file(path, MOST_TOML)
        except OSError as problem:
            raise ConfigError(f"{path} cannot be read ({one_line(problem)})") from None

    @property
    def _tables(self) -> list[str]:
        lsf = [arm.lsf for arm in self.arms if arm.lsf not in LSF_MODELS]
        is_file = self.dust_table and not self.dust_table.startswith(LAW)
        dust = [self.dust_table] if is_file else []
        return [self.atmosphere.telluric_table, self.sky.line_table, *lsf, *dust]

    def resolved(self) -> dict:
        """Every figure as a JSON-able dict, with the SHA-256 of figures and tables together."""
        figures = {f.name: getattr(self, f.name) for f in fields(self)}
        del figures["folder"]
        plain = {
            key: asdict(value) if hasattr(value, "__dataclass_fields__") else value
            for key, value in figures.items()
        }
        plain["arms"] = [asdict(arm) for arm in self.arms]
        total = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
        for name in self._tables:
            total.update(self._table_bytes(name))
        return {**plain, "sha256": total.hexdigest()}


@dataclass(frozen=True, kw_only=True)
class JoinedInstrument:
    """Several instruments in front of the same telescope and fibre, used as one.

    Their arms follow each other along the pixel axis in the order they are named.

    Attributes
    ----------
    name, description : str
    members : tuple of Instrument
    """

    name: str
    description: str
    members: tuple[Instrument, ...]

    def __post_init__(self):
        first = self.members[0]
        for member in self.members[1:]:
            for part in ("telescope", "fibre"):
                if getattr(member, part) != getattr(first, part):
                    raise ConfigError(
                        f"instrument {self.name!r}: [{part}] of {member.name!r} differs from that "
                        f"of {first.name!r}; arms can be joined behind one telescope and fibre"
                    )
            if member.atmosphere.seeing_airmass_power != first.atmosphere.seeing_airmass_power:
                raise ConfigError(
                    f"instrument {self.name!r}: seeing_airmass_power of {member.name!r} differs "
                    f"from that of {first.name!r}; give both the same"
                )
        _check_names(self.arms)

    @cached_property
    def by_arm(self) -> tuple[Instrument, ...]:
        """Every arm by itself."""
        return tuple(one for member in self.members for one in member.by_arm)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Arms of all members."""
        return tuple(arm for member in self.members for arm in member.arms)

    @cached_property
    def wave(self) -> np.ndarray:
        """Pixel centres of one arm after the other, vacuum, shape (n_wave,) [Å]."""
        return np.concatenate([member.wave for member in self.members])

    @property
    def dust_curve(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Dust of the first member; None for the built-in curve."""
        return self.members[0].dust_curve

    def resolved(self) -> dict:
        """Every member's figures as a JSON-able dict, with the SHA-256 of all of them.

        ``arms`` names each arm with its pixels and wavelengths; its figures lie in ``members``.
        """
        members = [member.resolved() for member in self.members]
        total = hashlib.sha256("".join(one["sha256"] for one in members).encode())
        return {
            "name": self.name,
            "description": self.description,
            "arms": [
                {
                    key: getattr(arm, key)
                    for key in ("name", "n_pixel", "wave_min_nm", "wave_max_nm")
                }
                for arm in self.arms
            ],
            "members": members,
            "sha256": total.hexdigest(),
        }


def _check_names(arms: tuple[Arm, ...]) -> None:
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names):
        raise ConfigError(f"arms need different names, found {names}; rename one")


def with_source(
    instrument: Instrument | JoinedInstrument,
    reff: float | None = None,
    offset: float | None = None,
) -> Instrument | JoinedInstrument:
    """Return the instrument with another source in front of its fibre.

    Parameters
    ----------
    instrument : Instrument or JoinedInstrument
    reff : float, optional
        Half-light radius of an exponential disc, 0 for a star [arcsec].
    offset : float, optional
        Distance of the source from the fibre's centre [arcsec].

    Raises
    ------
    ConfigError
        If one is negative.
    """
    if isinstance(instrument, JoinedInstrument):
        members = tuple(with_source(member, reff, offset) for member in instrument.members)
        return replace(instrument, members=members)
    given = {"reff_arcsec": reff, "offset_arcsec": offset}
    changed = {name: value for name, value in given.items() if value is not None}
    return replace(instrument, fibre=replace(instrument.fibre, **changed))


def with_extinction(
    instrument: Instrument | JoinedInstrument, law: str
) -> Instrument | JoinedInstrument:
    """Return the instrument behind dust of another extinction law, as ``F19`` or ``F19:2.5``.

    ``D03`` and an empty law change nothing.

    Raises
    ------
    ConfigError
        If there is no such law.
    """
    if not law or law_named(law)[0] == "D03":
        return instrument
    if isinstance(instrument, JoinedInstrument):
        members = tuple(with_extinction(member, law) for member in instrument.members)
        return replace(instrument, members=members)
    name, r_v = law_named(law)
    return replace(instrument, dust_table=f"{LAW}{name}:{r_v:g}")
