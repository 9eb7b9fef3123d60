"""What is done to files and options: each attack has a name, a command, and one change."""

import itertools
import json
import os
import random
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

MODELS = "specsim grid import {} --out out.zarr --medium vacuum --flux F_lambda --resolution 12000"
READERS = {  # what reads each input; {} is the input's name
    "bank.zarr": (
        "specsim generate -n 20 --workers 1 --bank {} --out out.zarr",
        "specdata info {}",
        "specdata verify {}",
        "specsim spectrum --bank {} --index 1 --out out.ecsv",
    ),
    "data.zarr": (
        "specdata info {}",
        "specdata verify {}",
        "speclearn train {} --model ridge --out out",
        "specdata convert {} out --format hdf5",
        "specsim export {} --format pfs --split test --rows 0:1 --out out",
        "speclearn predict ridge {} --out out.ecsv",
    ),
    "grid.zarr": (
        "specsim grid info {}",
        "specdata verify {}",
        "specsim bank --grid {} --out out.zarr",
    ),
    "published": ("specdata info {}/train.h5", "specdata convert {} out.zarr --format zarr"),
    "ridge": ("speclearn predict {} star.ecsv", "speclearn evaluate {} data.zarr"),
    "trees": ("speclearn predict {} star.ecsv",),
    "vit": ("speclearn predict {} star.ecsv", "speclearn evaluate {} data.zarr"),
    "gp": ("speclearn predict {} data.zarr --out out.ecsv",),
    "star.ecsv": ("speclearn predict ridge {}",),
    "star.fits": ("speclearn predict ridge {}",),
    "star.csv": ("speclearn predict ridge {}",),
    "mock.ecsv": (
        "specsim generate -n 20 --workers 1 --bank bank.zarr --population {} --out out.zarr",
    ),
    "targets.fits": ("specfisher plan --target-sigma logg=0.3 --bank bank.zarr --stars {}",),
    "sed.ecsv": ("specsim snr --mag 21 --sed {}",),
    "list": (
        "specsim grid import {} --out out.zarr",
        "specsim grid import {}/list.ecsv --out out.zarr",
    ),
    "phoenix": (
        "specsim grid import {} --out out.zarr",
        "specsim grid import {} --out out.zarr --to-resolution 5000",
    ),
    "newera": ("specsim grid import {} --out out.zarr --to-resolution 5000",),
    "atlas": ("specsim grid import {} --out out.zarr --medium vacuum",),
    "kurucz.flx": ("specsim grid import {} --out out.zarr --medium vacuum",),
    "kurucz.pck": ("specsim grid import {} --out out.zarr --medium vacuum",),
    "models.npz": (MODELS,),
    "models.fits": (MODELS,),
    "run.toml": ("specsim generate --config {} --out out.zarr",),
    "mine.toml": ("specsim instrument show {}", "specsim snr --mag 21 --instrument {}"),
    "recipe.toml": (
        "speclearn train data.zarr --model specvit_tiny --recipe {} --epochs 1 --out out",
    ),
    "predictions.ecsv": (
        "speclearn evaluate {} data.zarr",
        "specfisher compare {} --data data.zarr --n-template 1000",
    ),
}


@dataclass(frozen=True)
class Attack:
    """One bad input: ``change(path)`` is done to ``file`` before ``line`` is run."""

    name: str
    line: str
    needs: tuple[str, ...]
    file: str = ""
    change: Callable[[Path], None] | None = None


def _write(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content)


def _edit(edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(edit(path.read_bytes()))


def _replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def _sparse(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(8 << 30)


def _flipped(share: float) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        spoiled = bytearray(content)
        n_byte = max(1, int(share * len(spoiled)))
        for k in random.Random(len(content)).sample(range(len(spoiled)), n_byte):
            spoiled[k] ^= 0xFF
        return bytes(spoiled)

    return flip


def _with(content: bytes, old: str, new: str) -> bytes:
    return content.replace(old.encode(), new.encode())


def _number(content: bytes, text: bytes) -> bytes:
    """The middle number of a text replaced by another."""
    found = list(re.finditer(rb"(?<=[ :\[=,])-?\d+(\.\d+)?", content))
    if not found:
        return content + text
    start, stop = found[len(found) // 2].span()
    return content[:start] + text + content[stop:]


GENERIC = {
    "empty": _write(b""),
    "half": _edit(lambda content: content[: len(content) // 2]),
    "one byte short": _edit(lambda content: content[:-1]),
    "garbage after": _edit(lambda content: content + b"\x00garbage" * 9),
    "a bit of it": _edit(_flipped(0.0)),
    "much of it": _edit(_flipped(0.02)),
    "zeros": _edit(lambda content: bytes(len(content))),
    "utf-16": _edit(lambda content: content.decode("latin-1").encode("utf-16")),
    "twice": _edit(lambda content: content * 2),
    "huge": _sparse,
    "gone": lambda path: path.unlink(),
    "a folder": _replaced(lambda path: path.mkdir()),
    "a device": _replaced(lambda path: path.symlink_to("/dev/zero")),
    "a pipe": _replaced(lambda path: os.mkfifo(path)),
    "a loop": _replaced(lambda path: path.symlink_to(path.name)),
    "a link out": _replaced(lambda path: path.symlink_to("/etc/passwd")),
    "gzip bomb": _write(zlib.compress(bytes(64 << 20), 9, 31)),
    "brackets": _write(b"[" * 100_000),
    "many digits": _edit(partial(_number, text=b"9" * 5000)),
    "overflow": _edit(partial(_number, text=b"1e999")),
    "negative": _edit(partial(_number, text=b"-7")),
    "large": _edit(partial(_number, text=b"1000000000000000")),
    "not a number": _edit(partial(_number, text=b"NaN")),
    "nul": _edit(lambda content: b"\x00" + content),
}
VALUES = (
    *(None, True, -1, 0, 1e308, float("nan"), 10**30, "", "x" * 5000),
    *([], [1], {}, {"a": 1}, [[]]),
)
TOML_VALUES = ('"x"', "true", "[1]", "[]", "{}", "-1", "nan", "1e400", "1979-05-27", "[[1]]")
BAD_WORDS = (
    *("", " ", "nan", "inf", "-1", "0", "1e99", "1..", "..", "2-1", "1,,2", "é"),
    *("x" * 4000, "/dev/zero", "%s{}", "0x10"),
)


def files_of(pristine: Path, name: str) -> list[str]:
    """Some files of an input: every text, and a few of the others, by their place."""
    root = pristine / name
    if root.is_file():
        return [name]
    files = sorted(str(p.relative_to(pristine)) for p in root.rglob("*") if p.is_file())
    texts = [f for f in files if f.endswith((".json", ".toml", ".md", ".txt", ".sha256"))]
    others = [f for f in files if f not in texts]
    top = [f for f in texts if f.count("/") <= 1]
    deep = [f for f in texts if f not in top]
    return top[:4] + deep[:: max(1, len(deep) // 2)][:2] + others[:: max(1, len(others) // 2)][:3]


def on_files(pristine: Path) -> Iterator[Attack]:
    """Every generic change of every chosen file, read by its commands in turn."""
    for name, lines in READERS.items():
        readers = itertools.cycle(lines)
        for file in files_of(pristine, name):
            for what, change in GENERIC.items():
                line = next(readers).format(name)
                yield Attack(f"{file}: {what}", line, needs_of(line, name), file, change)


def on_keys(pristine: Path) -> Iterator[Attack]:
    """Every key of a JSON or TOML file with values of other types."""
    for name in ("bank.zarr", "data.zarr", "grid.zarr", "ridge", "vit", "trees", "gp"):
        readers = itertools.cycle(READERS[name])
        texts = [f for f in files_of(pristine, name) if f.endswith(".json")]
        pairs = [(f, key) for f in texts for key in keys_of(json.loads((pristine / f).read_text()))]
        for k, (file, key) in enumerate(pairs):
            line = next(readers).format(name)
            value = VALUES[k % len(VALUES)]
            change = set_key(key, value)
            what = f"{file}: {'.'.join(key)} = {str(value)[:20]}"
            yield Attack(what, line, needs_of(line, name), file, change)
    for name in ("run.toml", "recipe.toml"):
        line = READERS[name][0].format(name)
        for row in (pristine / name).read_text().splitlines():
            key = row.split(" ")[0]
            for value in TOML_VALUES:
                change = _edit(partial(_with, old=row, new=f"{key} = {value}"))
                yield Attack(f"{name}: {key} = {value}", line, needs_of(line, name), name, change)


def keys_of(document: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the keys of a document, three levels deep, the first of each list."""
    if isinstance(document, dict) and len(above) < 3:
        for key, value in list(document.items())[:12]:
            yield (*above, key)
            yield from keys_of(value, (*above, key))


def set_key(key: tuple[str, ...], value: object) -> Callable[[Path], None]:
    """Change of a JSON file: one key has another value."""

    def change(path: Path) -> None:
        document = json.loads(path.read_text())
        place = document
        for part in key[:-1]:
            place = place[part]
        place[key[-1]] = value
        path.write_text(json.dumps(document))

    return change


def on_options() -> Iterator[Attack]:
    """Every option that takes a value, with words that are none."""
    from tests.written.lines import commands

    good = {
        "specsim generate": "-n 20 --workers 1 --bank bank.zarr --out out.zarr",
        "specsim spectrum": "--bank bank.zarr --index 1",
        "specsim snr": "--mag 21",
        "specsim bank": "--grid grid.zarr --out out.zarr",
        "specsim export": "data.zarr --format pfs --split test --rows 0:1 --out out",
        "specsim grid info": "grid.zarr",
        "specfisher ceiling": "--bank bank.zarr --n-star 30 --n-template 1000 --statistic paper",
        "specfisher info": "--bank bank.zarr --star logg=2.5 --mag 21",
        "specfisher plan": "--bank bank.zarr --target-sigma logg=0.3 --mag 21 --n-star 30",
        "specfisher compare": "predictions.ecsv --data data.zarr --n-template 1000",
        "speclearn train": "data.zarr --model ridge --out out",
        "speclearn predict": "ridge star.ecsv",
        "speclearn evaluate": "ridge data.zarr",
        "specdata convert": "data.zarr out --store frozen",
        "specdata verify": "data.zarr",
        "specdata info": "data.zarr",
    }
    words = itertools.cycle(BAD_WORDS)
    for name, command in sorted(commands()):
        if name not in good:
            continue
        line = f"{name} {good[name]}"
        for option in command.params:
            if option.param_type_name == "option" and not (option.is_flag or option.count):
                for word in itertools.islice(words, 2):
                    given = f"{line} {option.opts[0]}"
                    what = f"{name} {option.opts[0]} {word[:12]!r}"
                    yield Attack(what, f"{given}={quoted(word)}", needs_of(line, ""))


def quoted(word: str) -> str:
    """The word as a shell would take it."""
    import shlex

    return shlex.quote(word)


def needs_of(line: str, name: str) -> tuple[str, ...]:
    """Inputs of a line."""
    words = {word.split("/")[0] for word in line.split()}
    return tuple(sorted({known for known in READERS if known in words or known == name}))


def every(pristine: Path) -> list[Attack]:
    """All attacks, in a fixed order."""
    return [*on_files(pristine), *on_keys(pristine), *on_options()]


def prepare(attack: Attack, pristine: Path, folder: Path) -> None:
    """Lay out a folder with what the attack needs, the change made."""
    for name in attack.needs:
        source = pristine / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder / name)
    if attack.change:
        attack.change(folder / attack.file)
