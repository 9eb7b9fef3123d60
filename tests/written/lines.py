"""Commands as they are written in README, docs and help texts; how they are made short here."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("specsim", "speclearn", "specfisher", "specdata")
PAGES = ("README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")))

SMALLER = {  # what runs for hours as it is written; nothing else of a line is changed
    r"-n 1e[5-9]|-n 24000": "-n 3000",
    r"--model specvit(?=\s)": "--model specvit_tiny",
    r" --recipe paper": "",  # 200 epochs
    r"(data.zarr --target logg --out models/logg)$": r"\1 --set epochs=1 --set epoch_size=1024",
}
SHORT = {  # options added to a line that starts so, where they are not given
    "speclearn train specvit": "--set epochs=1",
    "speclearn train data.zarr --out models/first": "--set epochs=1 --set epoch_size=1024",
    "speclearn train --online": "--epoch-size 400",
    "speclearn pretrain masked data.zarr": "--epochs 1",
    "speclearn pretrain masked --bank": "--epochs 1",
    "specfisher ceiling": "--n-star 300 --n-template 1000",
    "specfisher plan --mag": "--n-star 40",
    "speclearn finetune": "--epochs 1 --lr 1e-3",
    "speclearn pretrain": "--epochs 1",
}
BRING = "files only a reader has; "
EXCEPTIONS = {  # pattern -> why the line is not run; another test holds it
    r"grid fetch": "needs the archive: tests/cli/test_fetch.py serves one",
    r"grid import|--wave-min": BRING + "tests/simulator/test_bosz_import.py imports such a folder",
    r"instrument import|instrument validate": BRING + "tests/simulator/test_calculator.py",
    r"mine\.toml|my_suite\.toml": BRING + "tests/simulator/test_instrument_files.py, test_suite.py",
    r"demo5d|five": "minutes of synthesis: benchmarks of five labels",
    r"demo-optical|demo-h": "minutes of synthesis: tests/simulator/test_wide_ranges.py",
    r"--by-arm": "needs a grid of all arms: tests/fisher/test_arms.py",
    r"vturb": "minutes of synthesis: tests/simulator/test_microturbulence.py",
    r"--a-m": "needs a grid with five labels, as above",
    r"speclearn bench (?!.*--plan)": "minutes of training: tests/cli/test_bench.py",
    r"-emit-tasks|big\.zarr|--scheduler": "needs machines: tests/cli/test_parts.py runs the parts",
    r"--compress": "minutes of fitting: tests/simulator/test_compress.py",
    r"cache clear": "empties the cache that other tests share: tests/cli/test_cache.py",
    r"grid errors .*--against": BRING + "tests/simulator/test_cell_errors.py",
    r"specsim grid check|specfisher check": "minutes of work: tests/cli/test_grid_check.py",
    r"specdata (ingest|fetch|crossmatch|select|compile-labels|info coadd)": BRING
    + "tests/cli/test_ingest.py, tests/data_contract/surveys",
    r"speclearn pretrain .*(xp|lrs|survey)": BRING + "tests/cli/test_pretrain.py",
    r"specsim explore(?!.*--page)": "serves until it is stopped: tests/cli/test_explore.py",
    r"speclearn hub": "needs a hub: tests/learners/test_hub.py",
    r"--also|models/any|import specclip|lrs|split/|\bxp\b": BRING
    + "tests/learners/test_any_instrument.py, test_public_weights.py, test_embedding.py",
    r"--domain": "needs grids of the laboratory: tests/cli/test_domain_ceiling.py",
    r"onnx": "needs the extra `onnx`: tests/learners/test_export.py",
}


def shown() -> dict[str, str]:
    """Every whole command line -> where it is written: fenced blocks and examples of help."""
    found: dict[str, str] = {}
    for page in PAGES:
        for line in fenced((ROOT / page).read_text()):
            found.setdefault(line, page)
    for name, command in commands():
        for line in getattr(command, "examples", ()):
            found.setdefault(bare(line), f"{name} --help")
    return found


def fenced(text: str) -> Iterator[str]:
    """Command lines within the code blocks of a page, continued lines joined."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip().removeprefix("$ ").split(" ")[0] in TOOLS:
                yield bare(line.strip().removeprefix("$ "))


def bare(line: str) -> str:
    """Without what is said beside it: a comment, or words in brackets."""
    return shlex.join(shlex.split(re.sub(r"\s{2,}\(.*\)$", "", line), comments=True))


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its full name."""
    pending = [(tool, import_module(f"starsmith.cli.{tool}").main) for tool in TOOLS]
    while pending:
        name, command = pending.pop()
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            names = command.list_commands(context)
            pending += [(f"{name} {n}", command.get_command(context, n)) for n in names]


def exception(line: str) -> str | None:
    """Why a line is not run; None where it is."""
    return next((why for pattern, why in EXCEPTIONS.items() if re.search(pattern, line)), None)


def shortened(line: str) -> str:
    """The line with what makes it short."""
    for pattern, smaller in SMALLER.items():
        line = re.sub(pattern, smaller, line)
    if line == "speclearn train":
        return f"{line} --epochs 1"
    for start, more in SHORT.items():
        if all(word in line for word in start.split()) and more.split()[0] not in line:
            line = f"{line} {more}"
    return line


def inputs(line: str) -> set[str]:
    """First parts of the names in a line that are not what it writes."""
    words = shlex.split(line)
    written = {words[k + 1] for k, word in enumerate(words) if word in ("--out", "--plot")}
    if " convert " in line:
        written.add([word for word in words[2:] if not word.startswith("-")][1])
    if line == "speclearn train":
        return {"data.zarr"}  # what `specsim generate` leaves
    return {re.split("[/:]", word)[0] for word in words[2:] if word not in written}
