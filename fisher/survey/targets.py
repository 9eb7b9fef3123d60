"""A table of targets, stars and other sources: the exposure of each, its S/N and its sigmas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.quantities import CONDITIONS, DUST, LABELS, UNITS
from starsmith.data_contract.tables.user_table import UserTable, read_table
from starsmith.data_contract.unit_conversion import to_glossary
from starsmith.fisher.information.grid_nodes import middle_conditions
from starsmith.fisher.information.jacobian import Columns
from starsmith.fisher.stars import free_labels, stars_at
from starsmith.fisher.survey.exposure_plan import Goal, exposure_units
from starsmith.fisher.survey.source_plan import SourcePlan, Sources, plan_sources, seen_with
from starsmith.fisher.survey.star_plan import star_sources
from starsmith.simulator.instruments import Instrument, JoinedInstrument, noise_tables
from starsmith.simulator.planning.sed import named_sed
from starsmith.simulator.planning.snr_rule import PixelLayout, SnrRule
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["GRID_STAR", "Targets", "plan_targets", "read_targets", "result_table"]

GRID_STAR = "grid"  # the SED of a row whose labels name a star of the grid
BLOCK = 64
EXPOSURE = ("exp_count", "exp_time")


@dataclass(frozen=True)
class Targets:
    """Rows of a table, each for every spectrum it is planned with.

    Attributes
    ----------
    given : UserTable
        As it was read.
    row : int64 array, shape (n_target,)
        Of ``given``.
    sed : tuple of str, length n_target
        `GRID_STAR`, ``flat``, ``blackbody:KELVIN`` or a file of each.
    columns : mapping of str to float64 array, shape (n_target,)
        Labels (NaN where there are none), ``mag``, ``ebv`` and conditions that the table has.
    mag_band : str
    """

    given: UserTable
    row: np.ndarray
    sed: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    mag_band: str

    def __len__(self) -> int:
        return len(self.row)

    @property
    def is_star(self) -> np.ndarray:
        """Which are stars of the grid, bool (n_target,)."""
        return np.array([sed == GRID_STAR for sed in self.sed])

    def conditions(self, prior: Prior) -> np.ndarray:
        """Conditions of each, float64 (n_target, 8): the table's, else the prior's middle."""
        conditions = np.repeat(middle_conditions(prior), len(self), axis=0)
        for k, name in enumerate(CONDITIONS):
            if name in self.columns:
                conditions[:, k] = self.columns[name]
        return conditions


def read_targets(path: Path | str, mag_band: str = "", seds: Sequence[str] = ()) -> Targets:
    """Read a table of targets.

    Parameters
    ----------
    path : path
        ECSV, CSV or FITS. ``mag``, and ``teff logg m_h`` (``a_m c_m``) of stars; ``sed`` of a row
        that is another source; ``ebv`` and observing conditions where it has them. Names may be
        aliases; units are converted.
    mag_band : str
        Of magnitudes that are not AB, unless the table says it.
    seds : sequence of str
        Every row is planned with each of these; by default with its own ``sed``, or the grid.

    Raises
    ------
    ConfigError
        If a column is missing or unusable.

    Examples
    --------
    >>> from starsmith.simulator.samples import sample_targets
    >>> sample_targets().write("stars.ecsv", overwrite=True)
    >>> len(starsmith.read_targets("stars.ecsv", seds=["grid", "blackbody:4500"]))
    12
    """
    table = read_table(path, ("mag",), what="targets")
    band = str(table.meta.get("mag_band") or mag_band)
    wanted = (*LABELS, "mag", DUST, *CONDITIONS)
    found = {name: column for name in wanted if (column := table.find(name)) is not None}
    if "mag" not in found:
        raise ConfigError(f"{path}: column mag is missing; found {list(table.columns)}")
    if not len(table):
        raise ConfigError(f"{path}: it has no rows")
    values = {name: _numbers(table, name, column, band) for name, column in found.items()}
    own = _own_seds(table)
    lists = [tuple(seds) or (own[k],) for k in range(len(table))]
    row = np.repeat(np.arange(len(table)), [len(some) for some in lists])
    targets = Targets(
        given=table,
        row=row,
        sed=tuple(sed for some in lists for sed in some),
        columns={name: column[row] for name, column in values.items()},
        mag_band=band,
    )
    _check(targets)
    return targets


def _numbers(table: UserTable, name: str, column: str, band: str) -> np.ndarray:
    try:
        return to_glossary(name, table.numbers(column), table.unit(column), band)
    except ValueError as problem:
        raise ConfigError(f"{table.path}: column {column}: {problem}") from None


def _own_seds(table: UserTable) -> list[str]:
    if (column := table.find("sed")) is None:
        return [GRID_STAR] * len(table)
    words = np.ma.filled(np.ma.asarray(table.columns[column]).astype(str), "").tolist()
    return [word.strip() if word.strip() not in ("", "--") else GRID_STAR for word in words]


def _check(targets: Targets) -> None:
    """Raise ConfigError where a star lacks a label, or a value is missing."""
    star, path = targets.is_star, targets.given.path
    for name in LABELS[:3]:
        missing = star & ~np.isfinite(targets.columns.get(name, np.full(len(targets), np.nan)))
        if missing.any():
            raise ConfigError(
                f"{path}: {name} of {int(missing.sum())} target(s) is missing (first: row "
                f"{int(targets.row[np.argmax(missing)]) + 1}); a target needs teff, logg and m_h, "
                "or a source that is no star: --sed flat, or a column sed"
            )
    for name, values in targets.columns.items():
        needed = np.ones(len(targets), bool) if name not in LABELS else star
        bad = needed & ~np.isfinite(values)
        if name not in EXPOSURE and bad.any():
            raise ConfigError(
                f"{path}: {name} of {int(bad.sum())} target(s) is missing or no number (first: row "
                f"{int(targets.row[np.argmax(bad)]) + 1}); fill it in, or leave these rows out"
            )


def _other_sources(
    targets: Targets, rows: np.ndarray, instrument: Instrument | JoinedInstrument, prior: Prior
) -> Sources:
    """Sources that are no stars of a grid, as an instrument sees them."""
    noise: NoiseTables = noise_tables(instrument)
    dust = targets.columns.get(DUST, np.zeros(len(targets)))
    shapes: dict[tuple[str, float], np.ndarray] = {}
    for k in rows:
        key = (targets.sed[k], float(dust[k]))
        if key not in shapes:
            sed = named_sed(key[0], targets.mag_band)
            sed = sed.behind(key[1], instrument.dust_curve, targets.mag_band)
            shapes[key] = sed.on(instrument)
    scale = 10.0 ** (-0.4 * targets.columns["mag"][rows])
    flux = np.stack([shapes[targets.sed[k], float(dust[k])] for k in rows]) * scale[:, None]
    columns = Columns((), np.zeros((len(rows), 0, flux.shape[1])), flux)
    layout = PixelLayout.of(instrument.resolved(), instrument.wave, noise.arms)
    return Sources(noise, layout, columns, targets.conditions(prior)[rows])


def _star_sources(
    targets: Targets, rows: np.ndarray, bank: Bank, prior: Prior, goal: Goal | None
) -> Sources:
    names = [n for n in (*bank.label_names, "mag") if n in targets.columns]
    stars = stars_at(bank, prior, {name: targets.columns[name][rows] for name in names})
    stars = replace(stars, conditions=targets.conditions(prior)[rows])
    if DUST in targets.columns:
        stars = replace(stars, **{DUST: targets.columns[DUST][rows]})
    if (holes := touches_filled(bank, stars.labels)).any():
        raise ConfigError(
            f"{targets.given.path}: row {int(targets.row[rows][np.argmax(holes)]) + 1} leans on a "
            f"hole of grid {bank.grid.get('name')!r}; change its labels, or leave it out"
        )
    wanted = [name for name in (goal.sigma if goal else ()) if name != "rv"]
    for name in wanted:
        free_labels(bank, prior, name)
    free = tuple(n for n in bank.label_names if prior.ranges[n][1] > prior.ranges[n][0])
    velocity = bool(goal and "rv" in goal.sigma)
    normalise = goal.normalise if goal else "free"
    return star_sources(bank, stars, free, normalise, velocity=velocity)


def plan_targets(
    targets: Targets,
    prior: Prior,
    goal: Goal | None,
    bank: Bank | None = None,
    instrument: Instrument | JoinedInstrument | None = None,
) -> "Table":
    """Exposure, S/N and sigmas of every target, as a table.

    Parameters
    ----------
    targets : Targets
    prior : Prior
        Conditions that the table does not have are the middle of its ranges; labels whose range
        has a width are fitted.
    goal : Goal or None
        What has to be reached; None takes the exposures of the table, or of the prior, as given.
    bank : Bank, optional
        Needed for stars of a grid.
    instrument : Instrument or JoinedInstrument, optional
        Needed for other sources.

    Returns
    -------
    table : astropy Table
        The columns of the targets' own table, and ``sed exp_count exp_time exp_total
        snr_pixel snr_angstrom snr_element``, ``snr_rule_1``... and ``sigma_LABEL``; with a goal
        also ``met`` and ``shortfall``.

    Raises
    ------
    ConfigError
        If sigma is asked of a source that is no star, or a bank or instrument is missing.

    Examples
    --------
    >>> from starsmith.simulator.samples import sample_targets
    >>> sample_targets().write("targets.ecsv", overwrite=True)
    >>> goal = starsmith.Goal(sigma={"logg": 0.5})
    >>> targets = starsmith.read_targets("targets.ecsv")
    >>> table = starsmith.plan_targets(targets, prior, goal, bank)
    >>> table.colnames[-3:]
    ['sigma_teff', 'sigma_logg', 'sigma_m_h']
    """
    star = targets.is_star
    if goal and goal.sigma and not star.all():
        other = targets.sed[int(np.argmin(star))]
        raise ConfigError(
            f"--target-sigma is of labels of a star, but a target is {other!r}; use --target-snr"
        )
    pieces: list[tuple[np.ndarray, SourcePlan]] = []
    for kind, needed in ((True, bank), (False, instrument)):
        rows = np.flatnonzero(star == kind)
        if rows.size and needed is None:
            raise ConfigError(
                "stars of a grid need a bank" if kind else "other sources need an --instrument"
            )
        for start in range(0, rows.size, BLOCK):
            some = rows[start : start + BLOCK]
            sources = (
                _star_sources(targets, some, bank, prior, goal)
                if kind
                else _other_sources(targets, some, instrument, prior)
            )
            pieces.append((some, _planned(sources, prior, goal)))
    return result_table(targets, pieces, goal.snr if goal else ())


def _planned(sources: Sources, prior: Prior, goal: Goal | None) -> SourcePlan:
    if goal is None:
        return seen_with(sources)
    one, longest = exposure_units(prior, goal)
    return plan_sources(sources, goal, one, longest)


def result_table(
    targets: Targets, pieces: Sequence[tuple[np.ndarray, SourcePlan]], rules: Sequence[SnrRule]
) -> "Table":
    """The targets' own columns with what was found; its metadata say what each rule is."""
    from astropy.table import Table

    found: dict[str, np.ndarray] = {}
    for rows, plan in pieces:
        for name, values in _columns_of(plan).items():
            kind = values.dtype if name == "met" else np.float64
            whole = found.setdefault(
                name, np.full(len(targets), 0 if name == "met" else np.nan, kind)
            )
            whole[rows] = values
    table = Table({name: column[targets.row] for name, column in targets.given.columns.items()})
    if len(set(targets.sed)) > 1 or targets.sed[0] != GRID_STAR:
        table["sed"] = list(targets.sed)
    for name, values in found.items():
        table[name] = values.astype(np.int64) if name == "exp_count" else values
        table[name].unit = _unit(name)
    for k, rule in enumerate(rules):
        table[f"snr_rule_{k + 1}"].description = str(rule)
    return table


def _unit(name: str) -> str | None:
    if name in ("exp_time", "exp_total"):
        return "s"
    label = name.removeprefix("sigma_")
    unit = UNITS.get(label) if label != name else None
    return "dex" if unit and unit.startswith("dex") else unit


def _columns_of(plan: SourcePlan) -> dict[str, np.ndarray]:
    judged = {"met": plan.met, "shortfall": plan.shortfall}
    return {
        "exp_count": plan.exp_count,
        "exp_time": plan.exp_time,
        "exp_total": plan.exp_count * plan.exp_time,
        **(judged if np.isfinite(plan.shortfall).any() else {}),
        **{f"snr_{per}": values for per, values in plan.snr.items()},
        **{f"snr_rule_{k + 1}": values for k, values in enumerate(plan.rules)},
        **{f"sigma_{name}": values for name, values in plan.sigma.items()},
    }
