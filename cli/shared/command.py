"""What all commands share: help with examples first, one-line errors, quietness, --json."""

import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

import click

from starsmith.cli.shared.failures import CONFIG_PATH, Interrupted, command_again, explain
from starsmith.cli.shared.interrupts import stoppable
from starsmith.cli.shared.option_table import PATH, option
from starsmith.cli.shared.panels import own_spelling, widen, write_commands, write_panels
from starsmith.data_contract.files.atomic import json_safe
from starsmith.data_contract.spelling import suggestion

__all__ = [
    "CONFIG_PATH",
    "Command",
    "CommandGroup",
    "LazyGroup",
    "Tool",
    "echo_json",
    "echo_notice",
    "finish",
    "json_option",
    "loudness",
    "out_option",
    "overwrite_option",
    "version_option",
]

LOUDNESS = "starsmith.loudness"


def colour_wanted() -> bool | None:
    """False where NO_COLOR is set; None lets click look at the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def loudness() -> int:
    """-1 with -q, 0 by default, 1 and more with -v."""
    context = click.get_current_context(silent=True)
    return context.meta.get(LOUDNESS, 0) if context else 0


def _add_loudness(context: click.Context, parameter: click.Parameter, value: int | bool) -> None:
    step = -1 if parameter.name == "quiet" else 1
    if value:
        context.meta[LOUDNESS] = context.meta.get(LOUDNESS, 0) + step * int(value)


def _common_options() -> list[click.Option]:
    hidden_value = {"expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            callback=_add_loudness,
            help="No progress and no warnings.",
            **hidden_value,
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            callback=_add_loudness,
            help="Say more; -vv says all.",
            **hidden_value,
        ),
        click.Option(
            ["--debug"], is_flag=True, help="Show the traceback of an error.", **hidden_value
        ),
    ]


def _use_style(context: click.Context, parameter: click.Parameter, name: str | None) -> None:
    if name is not None:
        from starsmith.data_contract.figure_kit import use_style

        context.with_resource(use_style(name))


def _style_option() -> click.Option:
    return click.Option(
        ["--style"],
        callback=_use_style,
        expose_value=False,
        help="Of figures: journal, talk, one of matplotlib's styles, or a file of one.  "
        "[default: journal]",
    )


class Command(click.Command):
    """A command whose help shows examples first and which says how to go on after Ctrl-C."""

    def __init__(
        self,
        *args,
        examples: tuple[str, ...] = (),
        resume: str = "nothing was written; run the command again",
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.context_settings = widen(self.context_settings)
        self.examples = examples
        self.resume = resume
        if any(parameter.name in ("plot", "calibration_plot") for parameter in self.params):
            self.params.append(_style_option())
        self.params.extend(_common_options())

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then what the command does."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        super().format_help_text(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in panels."""
        write_panels(self, ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; options of quantities may have any of their names."""
        return super().parse_args(ctx, own_spelling(args, self))

    def invoke(self, ctx: click.Context) -> Any:
        """Run with logging on stderr; Ctrl-C becomes `Interrupted`, whatever it broke."""
        with stoppable() as stopped:
            try:
                with log_on_stderr(loudness()):
                    return super().invoke(ctx)
            except KeyboardInterrupt:
                raise Interrupted(self.resume) from None
            except Exception:
                if stopped():
                    raise Interrupted(self.resume) from None
                raise


class OneLineErrors:
    """Ends every failure in one line on stderr and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; with ``standalone_mode`` always ends in SystemExit."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        args = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(args, self.name, complete_var, standalone_mode=False, **extra)
        except Exception as problem:
            if "--debug" in args:
                traceback.print_exception(problem, file=sys.stderr)
            message, code = explain(problem)
            if options := getattr(problem, "options", ()):
                message += f"; go on with: {command_again(self.name, args, options)}"
            if message:
                name = click.style(f"{self.name}:", fg="red", bold=True)
                click.echo(f"{name} {message}", err=True, color=colour_wanted())
        sys.exit(code if isinstance(code, int) else 0)


class CommandGroup(OneLineErrors, click.Group):
    """A tool made of several commands."""

    command_class = Command

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.context_settings = widen(self.context_settings)
        self.params.extend(_common_options())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a slip is answered with the one that was meant."""
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            near = suggestion(args[0], names)
            ctx.fail(f"No such command {args[0]!r}{near or '; known are ' + ', '.join(names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, each with its whole first sentence."""
        names = self.list_commands(ctx)
        found = [(name, self.get_command(ctx, name)) for name in names]
        write_commands([(name, one) for name, one in found if one is not None], formatter)


CommandGroup.group_class = CommandGroup


class LazyGroup(CommandGroup):
    """A tool whose commands are imported when they are asked for.

    Parameters
    ----------
    places : dict of str to str
        ``module:command`` of each command, by its name; or of a function that makes it for the
        tool of a name.
    """

    def __init__(self, *args, places: dict[str, str], **kwargs):
        super().__init__(*args, **kwargs)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return sorted({*self.places, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name, imported now; None where there is none."""
        if name not in self.places:
            return super().get_command(ctx, name)
        module, _, attribute = self.places[name].partition(":")
        found = getattr(import_module(module), attribute)
        return found if isinstance(found, click.Command) else found(self.name)


class Tool(OneLineErrors, Command):
    """A tool that is one command."""


class _StderrHandler(logging.StreamHandler):
    """Writes to whatever sys.stderr is now, so that redirection works."""

    def __init__(self):
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


@contextmanager
def log_on_stderr(level: int) -> Iterator[None]:
    """Send starsmith's log (and with -v Python's warnings) to stderr while a command runs."""
    threshold = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(level, logging.DEBUG)
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    ours, theirs = logging.getLogger("starsmith"), logging.getLogger("py.warnings")
    before = ours.level, theirs.level
    ours.setLevel(threshold)
    theirs.setLevel(logging.WARNING if level > 0 else logging.CRITICAL)
    for logger in (ours, theirs):
        logger.addHandler(handler)
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            for logger, old in zip((ours, theirs), before, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(old)


def version_option() -> Callable[[Callable], Callable]:
    """``--version`` of the starsmith distribution."""
    return click.version_option(
        package_name="starsmith", message="%(prog)s (starsmith) %(version)s"
    )


def json_option() -> Any:
    """``--json``: the result as JSON on stdout."""
    return option("--json", is_flag=True, help="Print the result as JSON.")


def echo_json(schema: str, content: dict) -> None:
    """Print strict JSON (infinite and undefined numbers as null) with its schema's name."""
    document = {"schema": schema, "schema_version": 1, **json_safe(content)}
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def out_option(help_text: str, default: str | None = None) -> Any:
    """``--out``, required unless there is a default."""
    if default is None:
        return option(type=PATH, required=True, help=help_text)
    return option(type=PATH, default=default, help=help_text)


def overwrite_option(help_text: str = "Replace what is there.") -> Any:
    """``--overwrite``."""
    return option(is_flag=True, help=help_text)


def echo_notice(notice: str) -> None:
    """Print the label of a demonstration grid on stderr, where there is one."""
    if notice:
        click.echo(notice, err=True)


def finish(schema: str, content: dict, text: str, as_json: bool, notice: str = "") -> None:
    """End a command: its result as JSON or as text on stdout, the grid's notice with it.

    Parameters
    ----------
    schema : str
        Name of the JSON document, e.g. ``specfisher.map``.
    content : dict
    text : str
        The same for people.
    as_json : bool
    notice : str
        Label of a demonstration grid; an entry of the document, or a line on stderr.
    """
    if as_json:
        echo_json(schema, {**content, "notice": notice})
    else:
        click.echo(text)
        echo_notice(notice)
