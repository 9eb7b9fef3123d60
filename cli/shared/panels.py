"""How help is laid out: options in panels by what they are about, whole sentences of commands."""

from collections.abc import Iterable, Sequence

import click

from starsmith.data_contract.quantities import QUANTITIES, quantity_called

__all__ = ["PANELS", "own_spelling", "widen", "write_commands", "write_panels"]

STAR, SKY, WHERE, NOISE = "Star", "Sky and exposure", "Grid and instrument", "Noise"
OUTPUT, GENERAL = "Output", "General"
OF_KIND = {"label": STAR, "star": STAR, "condition": SKY}
PANELS = {
    **{quantity.name: OF_KIND[quantity.kind] for quantity in QUANTITIES if quantity.default},
    **dict.fromkeys(("population", "preset", "sed", "air"), STAR),
    **dict.fromkeys(
        ("grid", "instrument", "mag_band", "extinction", "bank", "reff", "offset"), WHERE
    ),
    **dict.fromkeys(
        ("sky_floor", "telluric_residual", "flux_calibration", "counts", "cosmic_rays"), NOISE
    ),
    **dict.fromkeys(("for_sky", "seeing_drift", "zenith_drift"), NOISE),
    **dict.fromkeys(("out", "plot", "style", "overwrite", "as_json", "exposures"), OUTPUT),
    **dict.fromkeys(("plot_noise", "format", "corner"), OUTPUT),
    **dict.fromkeys(
        ("config", "quiet", "verbose", "debug", "_click_default_help", "version"), GENERAL
    ),
}
"""Name of a parameter -> panel of the help; every other one is in ``Options``."""

ORDER = ("Options", STAR, SKY, WHERE, NOISE, OUTPUT, GENERAL)
FEW = 9  # options that need no panels
WIDEST = 100


def widen(settings: dict) -> dict:
    """Settings of a click context whose help is as wide as the terminal, up to 100 columns."""
    return {"max_content_width": WIDEST, **settings}


def write_panels(
    command: click.Command, context: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the options of a command, a panel for what they are about; ``Options`` comes first."""
    panels: dict[str, list[tuple[str, str]]] = {}
    params = command.get_params(context)
    shown = [(p, record) for p in params if (record := p.get_help_record(context)) is not None]
    for parameter, record in shown:
        name = PANELS.get(parameter.name or "", "Options") if len(shown) > FEW else "Options"
        panels.setdefault(name, []).append(record)
    if "Options" not in panels:  # all have a panel: the first one leads
        panels = {"Options": panels.pop(next(iter(panels))), **panels}
    for name in sorted(panels, key=ORDER.index):
        with formatter.section(name):
            formatter.write_dl(panels[name])


def write_commands(
    names: Iterable[tuple[str, click.Command]], formatter: click.HelpFormatter
) -> None:
    """Write every command with its whole first sentence, never cut."""
    rows = [
        (name, command.get_short_help_str(limit=1000))
        for name, command in names
        if not command.hidden
    ]
    if rows:
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def own_spelling(words: Sequence[str], command: click.Command) -> list[str]:
    """Words of a command line with quantities under their own names: ``--[Fe/H]`` -> ``--m-h``.

    Options that the command knows are left as they are, and so is everything after ``--``.
    """
    known = {name for parameter in command.params for name in parameter.opts}
    known |= {name for parameter in command.params for name in parameter.secondary_opts}
    result: list[str] = []
    for k, word in enumerate(words):
        if word == "--":
            return [*result, *words[k:]]
        option, equals, value = word.partition("=")
        own = quantity_called(option[2:]) if option.startswith("--") else None
        spelled = f"--{own.replace('_', '-')}" if own else option
        use = option not in known and spelled in known
        result.append(f"{spelled}{equals}{value}" if use else word)
    return result
