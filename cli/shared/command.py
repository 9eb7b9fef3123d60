"""What all commands share: help with examples first, one-line errors, quietness, --json."""

import json
import logging
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

import click

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

EXTRAS = {
    "torch": "learn",
    "safetensors": "learn",
    "lightgbm": "learn",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "pandas": "hdf5",
    "tables": "hdf5",
    "specutils": "view",
    "distributed": "cluster",
    "mpi4py": "cluster",
}
LOUDNESS = "starsmith.loudness"
CONFIG_PATH = "starsmith.config"  # context entry: the TOML file in use
INTERRUPTED = 130
LONGEST_LINE = 1200
EPIPE_EXIT = 1


class Interrupted(Exception):
    """Ctrl-C, with what the user can do next."""


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
        ``module:command`` of each command, by its name.
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
        return getattr(import_module(module), attribute)


class Tool(OneLineErrors, Command):
    """A tool that is one command."""


def command_again(name: str, args: list[str], options: tuple[str, ...]) -> str:
    """Command line of a call with other options, which replace those given before.

    Parameters
    ----------
    name : str
        Of the tool.
    args : list of str
        Of the call.
    options : tuple of str
        Each name followed by its value; ``--set`` adds up, and ``--overwrite`` stands alone.
    """
    replaced = {"--overwrite", *(word for word in options if word.startswith("--"))} - {"--set"}
    kept, skip = [], False
    for word in args:
        option, equals, _ = word.partition("=")
        if skip or option in replaced:
            skip = not skip and not equals and option != "--overwrite"
        else:
            kept.append(word)
    return shlex.join([name, *kept, *options])


def one_line(text: str) -> str:
    """Text in one line; of a long one, which quotes a file's own words, its two ends."""
    text = " ".join(text.split())
    half = LONGEST_LINE // 2
    return text if len(text) <= LONGEST_LINE else f"{text[:half]} [...] {text[-half:]}"


def explain(problem: Exception) -> tuple[str, int]:
    """One line and the exit code for an exception; an empty line where nothing is to say."""
    from starsmith.data_contract.errors import StarsmithError
    from starsmith.data_contract.files.disk_errors import disk_story

    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        problem.show()
        return "", problem.exit_code
    if isinstance(problem, click.ClickException):
        text, code = explain_usage(problem), problem.exit_code
    elif isinstance(problem, StarsmithError):
        text, code = str(problem), problem.exit_code
    elif isinstance(problem, Interrupted | click.Abort):
        text, code = f"interrupted; {problem or 'run the command again'}", INTERRUPTED
    elif isinstance(problem, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        text, code = "", EPIPE_EXIT
    elif isinstance(problem, ModuleNotFoundError) and problem.name in EXTRAS:
        extra = EXTRAS[problem.name]
        text, code = f"{problem.name} is not installed: pip install 'starsmith[{extra}]'", 1
    elif isinstance(problem, OSError) and (story := disk_story(problem)):
        text, code = story, 1
    elif isinstance(problem, OSError):
        text, code = f"{problem.filename or 'system'}: {problem.strerror or problem}", 1
    elif isinstance(problem, MemoryError):
        text, code = f"out of memory ({problem or 'no details'}); ask for fewer spectra at once", 1
    else:
        kind = type(problem).__name__
        text, code = f"unexpected {kind}: {problem}; run again with --debug and report it", 1
    return one_line(text), code


def explain_usage(problem: click.ClickException) -> str:
    """Add where a wrong value came from and which help to read."""
    text = problem.format_message()
    context = getattr(problem, "ctx", None)
    parameter = getattr(problem, "param", None)
    if context is None:
        return text
    if parameter is not None:
        source = context.get_parameter_source(parameter.name)
        if source is click.core.ParameterSource.DEFAULT_MAP:
            text = f"{context.meta.get(CONFIG_PATH, 'config file')}: {text}"
    return f"{text.rstrip('.')} (see {context.command_path} --help)"


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
