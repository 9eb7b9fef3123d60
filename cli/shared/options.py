"""Options that several commands share: where stars come from, and the TOML file behind flags."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starsmith.cli.shared.command import CONFIG_PATH
from starsmith.cli.shared.completions import complete_grids, complete_instruments
from starsmith.cli.shared.option_table import EXISTING, OptionGroup, flag, option
from starsmith.cli.shared.option_types import Range
from starsmith.cli.shared.progress import progress_bar
from starsmith.cli.shared.written_values import OtherMagnitudes
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import CONDITIONS, LABELS, NOT_EVERYWHERE, named

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.simulator.prior import Prior

__all__ = [
    "BANK_OPTIONS",
    "RANGES",
    "BankSource",
    "ab_magnitudes",
    "bank_options",
    "config_option",
    "flag",
    "prior_options",
    "range_parameters",
    "seed_option",
    "typed_first",
    "typed_on_command_line",
    "with_ab_magnitudes",
]

RANGES = {
    quantity.name: (quantity.help, "..".join(f"{end:g}" for end in dict.fromkeys(quantity.default)))
    for quantity in map(named, ("mag", "rv", *LABELS, *CONDITIONS))
}
"""Name -> (meaning, default) of every range of the prior, in the order of the help."""


BANK_OPTIONS = ("grid", "instrument", "mag_band", "extinction", "bank")
DEFAULT_BAND = "hsc2017-i"


def typed_on_command_line(*names: str) -> list[str]:
    """Those of the options that were typed, rather than read from a file or left alone."""
    context = click.get_current_context(silent=True)
    source = context.get_parameter_source if context else {}.get
    return [name for name in names if source(name) is click.core.ParameterSource.COMMANDLINE]


def typed_first(*names: str) -> dict:
    """Values of rival options: those typed on the command line, else those of the TOML file."""
    values = click.get_current_context().params
    given = [name for name in names if values[name] is not None]
    return {name: values[name] for name in typed_on_command_line(*given) or given}


@dataclass(frozen=True)
class BankSource:
    """Where a command finds its bank: a file, or a grid and an instrument to render."""

    grid: str = "demo"
    instrument: str = "pfs_mr"
    bank: Path | None = None
    mag_band: str | None = None
    extinction: str = ""
    velocity_step: float | None = None  # [km/s]
    interpolation: str | None = None
    reddening: bool | None = None

    @property
    def band(self) -> str:
        """Band of magnitudes; empty where a bank file decides it."""
        return "" if self.bank is not None else self.mag_band or DEFAULT_BAND

    def moving(self, moving: bool) -> "BankSource":
        """Return the source whose bank can shift stars, where they move and none is named."""
        if not moving or self.bank is not None:
            return self
        from starsmith.simulator.rendering.velocity_shift import VELOCITY_STEP_KM_S

        return replace(self, velocity_step=VELOCITY_STEP_KM_S)

    def reddened(self, reddened: bool) -> "BankSource":
        """Return the source whose bank knows dust, where there is some and no bank is named."""
        return replace(self, reddening=True) if reddened and self.bank is None else self

    def open(self) -> "Bank":
        """Load the bank, rendering it first (and building the demo grid) where needed.

        Raises
        ------
        ConfigError
            If a label was typed that only other grids have.
        """
        bank = self._loaded()
        typed = [name for name in typed_on_command_line(*NOT_EVERYWHERE) if name in LABELS]
        if missing := [name for name in typed if name not in bank.label_names]:
            raise ConfigError(
                f"{flag(missing[0])}: the grid has only {', '.join(bank.label_names)}; drop it, or "
                "use one with that axis: specsim grid build --axis vturb=0.5,1,2,4 --out FILE"
            )
        return bank

    def _loaded(self) -> "Bank":
        if self.bank is not None:
            from starsmith.data_contract.bank.bank_file import load_bank

            return load_bank(self.bank)
        from starsmith.simulator import cached_bank

        with progress_bar(f"grid {self.grid}", "models") as report:
            return cached_bank(
                self.grid,
                self.instrument,
                report,
                mag_band=self.mag_band or DEFAULT_BAND,
                interpolation=self.interpolation or "cubic",
                velocity_step_km_s=self.velocity_step,
                reddening=bool(self.reddening),
                extinction=self.extinction,
            )

    def rendering(self, chosen: dict) -> "BankSource":
        """Return the source with options of rendering; UsageError if it is rendered already."""
        given = {name: value for name, value in chosen.items() if value is not None}
        if given and self.bank is not None:
            named = ", ".join(map(flag, given))
            raise click.UsageError(f"--bank is rendered already; drop {named} or --bank")
        return replace(self, **given)

    def describe(self) -> dict[str, str]:
        """Return the part of a resolved configuration that names the bank."""
        if self.bank is not None:
            return {"bank": str(self.bank)}
        band = {"mag_band": self.mag_band} if self.mag_band else {}
        dust = {"extinction": self.extinction} if self.extinction else {}
        return {"grid": self.grid, "instrument": self.instrument, **band, **dust}


def _bank_parameters() -> list[click.Parameter]:
    return [
        click.Option(
            ["--grid"],
            shell_complete=complete_grids,
            help="Stellar grid: demo, demo-optical, demo-h or a grid file.  [default: demo]",
        ),
        click.Option(
            ["--instrument"],
            shell_complete=complete_instruments,
            help="Built in, an instrument file, or several joined by +.  [default: pfs_mr]",
        ),
        click.Option(
            ["--mag-band"],
            callback=lambda context, parameter, name: None if name == DEFAULT_BAND else name,
            help="Band of --mag: a speclite filter, or a wavelength like ab8000 [Angstrom].  "
            f"[default: {DEFAULT_BAND}]",
        ),
        click.Option(
            ["--extinction"],
            help="Law of the dust of --ebv, and its R_V: D03, CCM89, O94, F99, F04, M14, F19, G23, "
            "as F19:2.5.  [default: D03, R_V 3.1]",
        ),
        click.Option(
            ["--bank"],
            type=EXISTING,
            help="A rendered bank, instead of the options above.",
        ),
    ]


def _without_rivals(given: dict[str, Any]) -> dict[str, Any]:
    """Options of the bank's source: a bank, or what to render it from; typed ones beat a file's."""
    typed = typed_on_command_line(*BANK_OPTIONS)
    named = {name: value for name, value in given.items() if value is not None}
    if typed == ["bank"]:
        return {"bank": given["bank"]}
    if typed and "bank" not in typed:
        named.pop("bank", None)
    if "bank" in named and len(named) > 1:
        raise click.UsageError(
            "--bank already fixes the grid, the instrument and the magnitude's band; drop "
            f"{', '.join(flag(name) for name in named if name != 'bank')}"
        )
    return named


bank_options = OptionGroup(
    "source", _bank_parameters, lambda given: BankSource(**_without_rivals(given))
)
"""``--grid --instrument --mag-band --bank``: one `BankSource`."""


def range_parameters(*, listed: bool = True) -> list[click.Parameter]:
    """A range option per label and condition; unlisted ones have no default either."""
    return [
        click.Option(
            [flag(name), name],
            type=Range(name),
            help=f"{meaning}.",
            **({"default": default, "show_default": True} if listed else {"hidden": True}),
        )
        for name, (meaning, default) in RANGES.items()
    ]


def _prior(ranges: dict[str, tuple[float, float]]) -> "Prior":
    from starsmith.simulator.prior import Prior

    return Prior(with_ab_magnitudes(ranges))


def with_ab_magnitudes(ranges: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Ranges whose magnitudes are AB in the bank's band, whatever they were written in.

    Raises
    ------
    click.UsageError
        If the band has no known zero point in the other system.
    """
    mag = ranges.get("mag")
    if not isinstance(mag, OtherMagnitudes):
        return ranges
    source = bank_options.of(click.get_current_context().params)
    return {**ranges, "mag": ab_magnitudes(mag, source.band or source.open().mag_band)}


def ab_magnitudes(mag: tuple[float, float], band: str) -> tuple[float, float]:
    """Magnitudes in AB; UsageError where the band has no known zero point."""
    if not isinstance(mag, OtherMagnitudes):
        return mag
    try:
        low, high = mag.ab(band)
    except ValueError as problem:
        raise click.UsageError(f"--mag in {mag.system}: {problem}") from None
    return low, high


prior_options = OptionGroup("prior", range_parameters, _prior)
"""A range per label and condition: one `Prior`."""


def seed_option() -> Any:
    """``--seed``."""
    return option(type=click.IntRange(min=0), default=0, help="Random seed.")


def config_option(*unused: str) -> Callable[[Callable], Callable]:
    """Add ``--config``: a TOML file of option values, each overridden by its flag.

    Parameters
    ----------
    *unused : str
        Keys a file may hold without effect here, so that commands can share one.
    """

    def read(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
        if path is not None:
            values = read_config(path)
            known = {option.name for option in context.command.params if option.expose_value}
            known -= {"as_json", "dry_run"}
            if unknown := sorted(set(values) - known - set(unused)):
                raise click.BadParameter(
                    f"{path}: unknown key(s) {unknown}; known are {sorted(known)}"
                )
            context.meta[CONFIG_PATH] = path
            for option in context.command.params:
                if option.name in values and option.name not in unused:
                    _check_type(context, option, values[option.name], path)
            used = {k: v for k, v in values.items() if k in known - set(unused)}
            context.default_map = {**(context.default_map or {}), **used}
        return path

    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=read,
        is_eager=True,
        expose_value=False,
        help="TOML file of these options (m_h = [-1, 0]); flags override it.",
    )


def _check_type(context: click.Context, option: click.Parameter, value: object, path: Path) -> None:
    """Raise BadParameter where a key of a file holds a value of a type that its option cannot be.

    What is of the right type and out of range is said later, unless a flag replaces it.
    """
    whole = isinstance(option.type, click.types.IntParamType)
    wrong = isinstance(value, bool) != isinstance(option.type, click.types.BoolParamType)
    if not wrong and not (wrong := whole and isinstance(value, float)):
        try:
            option.type_cast_value(context, value)
        except click.ClickException:
            return
        except Exception:  # types are written for words of a command line
            wrong = True
    if wrong:
        raise click.BadParameter(
            f"{path}: {option.name} = {str(value)[:60]} is not of its type ({option.type.name})"
        )


def read_config(path: Path) -> dict:
    """Read a flat TOML file.

    Raises
    ------
    click.BadParameter
        If it is not TOML.
    """
    from starsmith.data_contract.files.outside import MOST_TOML, read_file, toml_of

    try:
        return toml_of(read_file(path, MOST_TOML).decode("utf-8"))
    except (OSError, ValueError) as problem:
        raise click.BadParameter(f"{path} is not TOML: {problem}") from None
