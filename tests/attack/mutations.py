"""Ways to damage a file, and values that no option takes."""

import os
import re
import shutil

import numpy as np

__all__ = ["MUTATIONS", "VALUES"]

VALUES = ("x", "-1", "0", "nan", "1e400", "", "/", "[1]", "\xff", "9" * 400)
"""Given to every option of a command."""


def _rewritten(change):
    def mutate(file):
        content = file.read_bytes()
        file.write_bytes(change(content))

    return mutate


def _flipped(seed):
    def change(content):
        changed = bytearray(content)
        if changed:
            place = np.random.default_rng([seed, len(content)]).integers(len(content))
            changed[place] ^= 1 << (seed % 8)
        return bytes(changed)

    return _rewritten(change)


def _number(text):
    """The middle number of a text replaced by another."""

    def change(content):
        found = list(re.finditer(rb"(?<=[ :\[=,])-?\d+(\.\d+)?", content))
        if not found:
            return content + text
        place = found[len(found) // 2]
        return content[: place.start()] + text + content[place.end() :]

    return _rewritten(change)


def _replaced(make):
    def mutate(file):
        file.unlink()
        make(file)

    return mutate


def _loop(file):
    file.symlink_to(file.name)


def _elsewhere(file):
    shutil.copy("/etc/hostname", file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


MUTATIONS = {
    "emptied": _rewritten(lambda content: b""),
    "cut": _rewritten(lambda content: content[: len(content) // 2]),
    "one byte less": _rewritten(lambda content: content[:-1]),
    "longer": _rewritten(lambda content: content + b"\0" * 100),
    "flip 1": _flipped(1),
    "flip 2": _flipped(2),
    "flip 3": _flipped(3),
    "flip 4": _flipped(4),
    "zeros": _rewritten(lambda content: bytes(len(content))),
    "noise": _rewritten(lambda content: np.random.default_rng(0).bytes(max(64, len(content)))),
    "deep": _rewritten(lambda content: b"[" * 100_000),
    "digits": _number(b"9" * 5000),
    "overflow": _number(b"1e999"),
    "negative": _number(b"-7"),
    "huge": _number(b"1000000000000000"),
    "NaN": _number(b"NaN"),
    "list": _number(b"[1]"),
    "missing": lambda file: file.unlink(),
    "folder": _replaced(lambda file: file.mkdir()),
    "pipe": _replaced(os.mkfifo),
    "device": _replaced(lambda file: file.symlink_to("/dev/zero")),
    "loop": _replaced(_loop),
    "elsewhere": _replaced(_elsewhere),
}
"""Name -> what is done to a file; some may leave it as good as it was."""
