"""Options of a command as a frozen dataclass: a field is an option, or a group of them.

A command takes one object, built by a loop over these fields::

    @dataclass(frozen=True, kw_only=True)
    class FinishOptions:
        path: Path = argument(type=EXISTING)
        as_json: bool = json_option()

    @click.command(cls=Command)
    @takes(FinishOptions)
    def finish(options: FinishOptions) -> None: ...
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from operator import itemgetter
from pathlib import Path
from typing import Any

import click

__all__ = [
    "EXISTING",
    "PATH",
    "OptionGroup",
    "argument",
    "flag",
    "grouped",
    "option",
    "parse",
    "takes",
]


class _Named(click.Path):
    """A path whose last part is a name, so that there are others beside it: not ``.`` or ``..``."""

    def convert(self, value: object, param: object, ctx: object) -> Path:
        """Path as given, but for folders that are named by where they are."""
        path = super().convert(value, param, ctx)
        path = path if path.name not in ("", "..") else path.resolve()
        if not path.name:
            self.fail(f"{path} is no place to write to; choose another", param, ctx)
        return path


PATH = _Named(path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
HIDDEN_DEFAULTS = (None, "", ())


def flag(name: str) -> str:
    """Command-line spelling of a name: ``m_h`` -> ``--m-h``."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class OptionGroup:
    """Several options that make one value; as a decorator, what gives a command this value.

    Attributes
    ----------
    name : str
        Of the argument that the command receives.
    parameters : callable
        Makes the options.
    build : callable
        Makes the value of the options' values by name.
    """

    name: str
    parameters: Callable[[], Sequence[click.Parameter]]
    build: Callable[[dict[str, Any]], Any]

    def __call__(self, function: Callable) -> Callable:
        """Add the options to a command's function, which receives their value."""
        parameters = self.parameters()

        @wraps(function)
        def _collected(*args: Any, **given: Any) -> Any:
            own = {parameter.name: given.pop(parameter.name) for parameter in parameters}
            return function(*args, **{self.name: self.build(own)}, **given)

        later = getattr(function, "__click_params__", ())  # click reads them backwards
        vars(_collected)["__click_params__"] = [*later, *reversed(parameters)]
        return _collected

    def of(self, values: Mapping[str, Any]) -> Any:
        """Value made of its own options among those of a command."""
        return self.build({p.name: values[p.name] for p in self.parameters()})


def option(*words: str, **settings: Any) -> Any:
    """Field of a table: an option of click, ``--name-of-the-field`` unless other words are given.

    Parameters
    ----------
    *words : str
    **settings
        Of ``click.Option``; a default is shown in the help.
    """
    shown = settings.get("default") not in HIDDEN_DEFAULTS
    settings = {"show_default": shown, **settings}
    return _single(lambda name: click.Option([*(words or [flag(name)]), name], **settings))


def argument(**settings: Any) -> Any:
    """Field of a table: an argument of click, with settings of ``click.Argument``."""
    return _single(lambda name: click.Argument([name], **settings))


def _single(parameter: Callable[[str], click.Parameter]) -> Any:
    def group(name: str) -> OptionGroup:
        return OptionGroup(name, lambda: [parameter(name)], itemgetter(name))

    return field(metadata={"group": group})


def grouped(group: OptionGroup) -> Any:
    """Field of a table: the value of a group of options."""
    return field(metadata={"group": lambda name: group})


def takes(table: type) -> OptionGroup:
    """Decorator that gives a command all options of a table, as one argument ``options``."""
    groups = {entry.name: entry.metadata["group"](entry.name) for entry in fields(table)}

    def parameters() -> list[click.Parameter]:
        return [parameter for group in groups.values() for parameter in group.parameters()]

    def build(values: dict[str, Any]) -> Any:
        return table(**{name: group.of(values) for name, group in groups.items()})

    return OptionGroup("options", parameters, build)


def parse(command: click.Command, table: type, words: Sequence[str]) -> Any:
    """Options that a command would receive for these words, without running it.

    Raises
    ------
    click.UsageError
        As the command would.
    """
    with command.make_context(command.name, list(words)) as context:
        return takes(table).build(context.params)
