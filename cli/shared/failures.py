"""How a command ends that failed: one line that says what to do, and an exit code."""

import os
import shlex
import sys

import click

__all__ = ["CONFIG_PATH", "Interrupted", "command_again", "explain"]

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
    "xarray": "view",
    "sklearn": "sklearn",
    "sbi": "sbi",
    "fsspec": "cloud",
    "s3fs": "cloud",
    "jinja2": "learn",
    "distributed": "cluster",
    "mpi4py": "cluster",
    "lsdb": "exchange",
    "mlcroissant": "exchange",
}
CONFIG_PATH = "starsmith.config"  # context entry: the TOML file in use
INTERRUPTED = 130
LONGEST_LINE = 1200
EPIPE_EXIT = 1


class Interrupted(Exception):
    """Ctrl-C, with what the user can do next."""


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
