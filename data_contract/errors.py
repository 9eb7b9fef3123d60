"""Every error starsmith raises on purpose, in one tree.

::

    StarsmithError            exit 1   something failed while running
    ├── InputError            exit 2   wrong usage or input
    │   ├── ConfigError                a flag or a key of a TOML file
    │   │   └── DivergedError          training left the finite numbers
    │   ├── GridError                  a stellar grid
    │   └── DataError                  a bank, dataset, checkpoint or spectrum
    │       └── BusyError              another process is writing it
    └── ContractError         exit 3   a file contradicts its own manifest
        └── LeakError                  a learner knows what it cannot know

A message names the file or option, what was found, what was expected, and the
command or edit that repairs it.
"""

__all__ = [
    "BusyError",
    "ConfigError",
    "ContractError",
    "DataError",
    "DivergedError",
    "GridError",
    "InputError",
    "LeakError",
    "StarsmithError",
]


class StarsmithError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what a command returns."""

    exit_code = 1


class InputError(StarsmithError):
    """The caller gave something that cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A command-line option or configuration key is wrong."""


class DivergedError(ConfigError):
    """Training met a loss or gradient that is not finite, with finite input.

    Attributes
    ----------
    options : tuple of str
        Of ``speclearn train``: added to the command that diverged, they go on from the last
        good checkpoint, or anew where there is none.
    """

    def __init__(self, message: str, options: tuple[str, ...] = ()):
        super().__init__(message)
        self.options = options

    def __reduce__(self) -> tuple:
        return type(self), (*self.args, self.options)


class GridError(InputError):
    """A stellar grid is missing, malformed or does not cover what was asked for."""


class DataError(InputError):
    """A bank, dataset, checkpoint or spectrum file cannot be used."""


class BusyError(DataError):
    """Another process is writing the same files."""


class ContractError(StarsmithError):
    """A file contradicts its manifest: it was changed, cut short or mixed up."""

    exit_code = 3


class LeakError(ContractError):
    """Information crossed from the answers to the learner."""
