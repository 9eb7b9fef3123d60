"""What is asked of a domain, in a line of text or a TOML file, and the grids it is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.domains.domain import Domain, Knobs, build_domain
from starsmith.simulator.domains.residuals import FOR_SKY
from starsmith.simulator.domains.second_physics import (
    LAB_AXES,
    Physics,
    first_grid,
    second_grid,
)
from starsmith.simulator.domains.survey import load_survey
from starsmith.simulator.grids.demo import demo_axes
from starsmith.simulator.grids.grid import StellarGrid

__all__ = ["BOXES", "DomainRequest", "lab_grids"]

BOXES = ("lab", "small")
OWN = ("survey", "grid", "grid_b", "box")
PRESETS: dict[str, dict[str, Any]] = {"none": {}, "sky": FOR_SKY}  # of knobs
KNOBS = {field.name: field.default for field in fields(Knobs)}
EXAMPLE = "desi,g=0.5,flux_calibration=0.03"
Progress = Callable[[int, int], None]


def lab_grids(
    g: float,
    box: str = "lab",
    grid: str | Path | None = None,
    grid_b: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[GridData, GridData | None]:
    """Grid A, and grid B where the dial needs it.

    Parameters
    ----------
    g : float
        Dial.
    box : str
        Nodes of the laboratory's own grids: ``lab`` (175) or ``small`` (64).
    grid, grid_b : str or Path, optional
        Grids of the user's own; without the second there is no B.
    progress : callable, optional
        ``progress(n_done, n_total)`` while a grid is built.
    """
    if grid is not None:
        return StellarGrid.open(grid), None if grid_b is None else StellarGrid.open(grid_b)
    axes = LAB_AXES if box == "lab" else demo_axes(box)
    first = first_grid(axes, progress=progress)
    return first, second_grid(Physics(), axes, progress=progress) if g else None


@dataclass(frozen=True, kw_only=True)
class DomainRequest:
    """A survey, its knobs, and the grids behind it.

    Attributes
    ----------
    survey : str
        Packaged, or a TOML file.
    knobs : Knobs
    grid, grid_b : str, optional
        Grids A and B; the laboratory's own if left out.
    box : str
        Nodes of the laboratory's own grids.
    """

    survey: str
    knobs: Knobs = field(default_factory=Knobs)
    grid: str | None = None
    grid_b: str | None = None
    box: str = "lab"

    @classmethod
    def of_text(cls, text: str) -> "DomainRequest":
        """Read ``desi``, ``desi,g=0.5,lsf=1.2``, or a TOML file with these keys.

        ``preset=sky`` sets errors of flux calibration and sky that are not given.

        A TOML file of a survey is the survey without knobs; paths are seen from the file's folder.

        Raises
        ------
        ConfigError
            For unknown keys and values that cannot be read.
        """
        first, *rest = (part.strip() for part in text.split(","))
        table: dict[str, Any] = {"survey": first}
        folder = Path()
        if first.endswith(".toml"):
            found = read_toml(Path(first), ConfigError)
            if "arm" not in found:
                table, folder = dict(found), Path(first).parent
        for part in rest:
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals:
                raise ConfigError(f"domain {text}: {part!r} is no knob; write e.g. {EXAMPLE}")
            table[name] = _number(value)
        return cls._of_table(table, text, folder)

    @classmethod
    def _of_table(cls, table: dict[str, Any], origin: str, folder: Path) -> "DomainRequest":
        if unknown := sorted(set(table) - {*OWN, *KNOBS, "preset"}):
            raise ConfigError(
                f"domain {origin}: unknown keys {unknown}; known are {[*OWN, 'preset', *KNOBS]}; "
                f"write e.g. {EXAMPLE}"
            )
        preset = table.get("preset", "none")
        if preset not in PRESETS:
            raise ConfigError(
                f"domain {origin}: preset {preset!r}; expected one of {', '.join(PRESETS)}"
            )
        table = PRESETS[preset] | table
        knobs = {name: _knob(name, table[name], origin) for name in table if name in KNOBS}
        own = {name: str(table[name]) for name in OWN if name in table}
        if not own.get("survey") or own.get("box", "lab") not in BOXES:
            raise ConfigError(
                f"domain {origin}: survey {own.get('survey')!r}, box {own.get('box', 'lab')!r}; "
                f"expected a survey, and one of {', '.join(BOXES)}"
            )
        for name in ("survey", "grid", "grid_b"):
            if (place := folder / own.get(name, "")).suffix and place.exists():
                own[name] = str(place)
        return cls(knobs=Knobs(**knobs), **own)

    def build(self, progress: Progress | None = None) -> Domain:
        """Look at the grids through the survey; GridError where they do not fit."""
        load_survey(self.survey)  # a wrong one is told before grids are made
        grids = lab_grids(self.knobs.g, self.box, self.grid, self.grid_b, progress)
        return build_domain(self.survey, self.knobs, *grids)


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _knob(name: str, value: object, origin: str) -> Any:
    default = KNOBS[name]
    if isinstance(default, tuple):
        good = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
        if good:
            return tuple(float(v) for v in value)
    elif isinstance(default, float) and type(value) in (int, float):
        return float(value)
    elif type(value) is type(default):
        return value
    wanted = (
        "a list of numbers, in a TOML file" if isinstance(default, tuple) else f"like {default!r}"
    )
    raise ConfigError(f"domain {origin}: {name} = {value!r}; expected {wanted}")
