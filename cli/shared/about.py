"""Commands that every tool has: ``version`` and ``completion``."""

import json
import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import argument, option, takes
from starsmith.cli.shared.option_types import Named

__all__ = ["ABOUT", "CompletionOptions", "SchemaOptions", "completion", "schema", "version"]

ABOUT = {name: f"starsmith.cli.shared.about:{name}" for name in ("completion", "schema", "version")}
"""Places of these commands, for a tool's own list."""

TOOLS = ("specdata", "specfisher", "speclearn", "specsim")
SHELLS = ("bash", "zsh", "fish")
LIBRARIES = ("numpy", "scipy", "numba", "zarr", "h5py", "astropy", "matplotlib", "torch")


def version(tool: str) -> Command:
    """The command ``version`` of a tool."""

    @dataclass(frozen=True, kw_only=True)
    class VersionOptions:
        as_json: bool = json_option()

    @click.command(
        cls=Command, name="version", examples=(f"{tool} version", f"{tool} version --json")
    )
    @takes(VersionOptions)
    def show(options: VersionOptions) -> None:
        """Show the version, and those of Python and the libraries in use."""
        found = _versions()
        if options.as_json:
            echo_json("starsmith.version", found)
            return
        width = max(map(len, found))
        for name, value in found.items():
            click.echo(f"{name:{width}}  {value}")

    return show


def _versions() -> dict[str, str]:
    found = {"starsmith": metadata.version("starsmith"), "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "platform": platform.platform(terse=True), "executable": sys.executable}


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Options of ``completion``."""

    shell: str | None = argument(type=Named(SHELLS), required=False)
    install: bool = option(
        is_flag=True, help="Write the scripts of all four tools where the shell looks for them."
    )
    as_json: bool = json_option()


def completion(tool: str) -> Command:
    """The command ``completion`` of a tool."""

    @click.command(
        cls=Command,
        name="completion",
        examples=(f"{tool} completion bash", f"{tool} completion fish"),
    )
    @takes(CompletionOptions)
    def show(options: CompletionOptions) -> None:
        """Print, or install, what completes commands, options, instruments, grids and models.

        SHELL is bash, zsh or fish; by default the one you are in. With --install all four tools
        are completed in new shells.
        """
        shell = options.shell or _own_shell()
        if not options.install:
            click.echo(script_of(tool, shell))
            return
        written = [str(install(one, shell)) for one in TOOLS]
        if options.as_json:
            echo_json("starsmith.completion", {"shell": shell, "files": written})
            return
        for path in written:
            click.echo(path)
        click.echo(AFTER[shell], err=True)

    return show


AFTER = {
    "bash": "open a new shell (the package bash-completion reads this folder)",
    "zsh": "add to ~/.zshrc, before compinit: fpath+=(~/.zfunc); then open a new shell",
    "fish": "open a new shell",
}


@dataclass(frozen=True, kw_only=True)
class SchemaOptions:
    """Options of ``schema``."""

    name: str | None = argument(required=False)


def schema(tool: str) -> Command:
    """The command ``schema`` of a tool."""

    @click.command(
        cls=Command,
        name="schema",
        examples=(f"{tool} schema", f"{tool} schema specsim.spectrum"),
    )
    @takes(SchemaOptions)
    def show(options: SchemaOptions) -> None:
        """Print the JSON Schema of what a command prints with --json, or the names of them all.

        NAME is the entry `schema` of the document.
        """
        from starsmith.cli.shared.json_schema import load_schema, schema_names
        from starsmith.data_contract.spelling import suggestion

        names = schema_names()
        if options.name is None:
            click.echo("\n".join(names))
        elif options.name not in names:
            raise click.UsageError(
                f"no document is called {options.name!r}{suggestion(options.name, names)}; "
                f"`{tool} schema` lists them"
            )
        else:
            click.echo(json.dumps(load_schema(options.name), indent=2))

    return show


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError(f"which shell? write one of {', '.join(SHELLS)}")
    return name


def script_of(tool: str, shell: str) -> str:
    """Completion script of a tool, as click writes it."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not one of {', '.join(SHELLS)}")
    return kind(click.Command(tool), {}, tool, f"_{tool.upper()}_COMPLETE").source()


def install(tool: str, shell: str) -> Path:
    """Write the completion script of a tool into the user's folder for it; returns the file."""
    from starsmith.data_contract.files.atomic import staged_file

    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path = {
        "bash": data / "bash-completion" / "completions" / tool,
        "zsh": home / ".zfunc" / f"_{tool}",
        "fish": config / "fish" / "completions" / f"{tool}.fish",
    }[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(path, sweep=True) as partial:
        partial.write_text(script_of(tool, shell) + "\n")
    return path
