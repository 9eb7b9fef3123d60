"""Names as people spell them: compared by letters and digits, and slips answered."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["alike", "letters_of", "suggestion"]

CLOSE = 0.6  # ratio of matching letters that still is a slip


def letters_of(name: str) -> str:
    """What is compared of a name: its letters and digits, in lower case."""
    return "".join(c for c in name.casefold() if c.isalnum())


def alike(word: str, known: Iterable[str]) -> str | None:
    """The known name with the same letters: ``PFS-MR`` is ``pfs_mr``; None if there is none."""
    return {letters_of(name): name for name in known}.get(letters_of(word))


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` with the nearest known name, or nothing where none is near."""
    spelled = {letters_of(name): name for name in known}
    letters = letters_of(word)
    swapped = [one for one in spelled if sorted(one) == sorted(letters)]
    near = swapped or get_close_matches(letters, spelled, 1, CLOSE)
    return f"; did you mean {spelled[near[0]]}?" if near else ""
