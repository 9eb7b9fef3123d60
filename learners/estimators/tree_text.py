"""LightGBM's text format, checked before its parser sees it: that one ends the process if it errs.

The format is that of ``Booster.save_model`` (LightGBM 4, src/boosting/gbdt_model_text.cpp): a
head, blocks of trees whose sizes the head lists, importances, parameters.
"""

import math
import re

__all__ = ["check_tree_text"]

HEAD = {
    "version": r"v[34]",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
    "max_feature_idx": r"\d{1,7}",
    "objective": "regression",
    "feature_names": ".*",
    "feature_infos": ".*",
    "tree_sizes": r"[\d ]*",
}
SPLITS = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
INTERNAL = ("internal_value", "internal_weight", "internal_count")
LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
SINGLE = {"num_leaves": r"\d{1,6}", "num_cat": "0", "is_linear": "0", "shrinkage": "[0-9.e+-]+"}
WHOLE = {"split_feature", "decision_type", "left_child", "right_child", "leaf_count"}
MOST_TREES = 100_000


def check_tree_text(content: bytes, n_feature: int) -> None:
    """Check a model of one ensemble of regression trees.

    Parameters
    ----------
    content : bytes
    n_feature : int
        Of the spectra it is for.

    Raises
    ------
    ValueError
        Naming the first line that is not what LightGBM writes, or a tree whose nodes do not form
        one.
    """
    try:
        content.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("it is no plain text") from None
    head, blank, rest = content.partition(b"\n\n")
    lines = head.decode().split("\n")
    if lines[0] != "tree" or not blank:
        raise ValueError("its first line is not 'tree'")
    entries = _entries(lines[1:], HEAD)
    if int(entries["max_feature_idx"]) != n_feature - 1:
        raise ValueError(f"it is for {int(entries['max_feature_idx']) + 1} pixels, not {n_feature}")
    for name in ("feature_names", "feature_infos"):
        if len(entries[name].split(" ")) != n_feature:
            raise ValueError(f"{name} are not {n_feature}")
    sizes = [int(size) for size in entries["tree_sizes"].split()]
    if len(sizes) > MOST_TREES or sum(sizes) > len(rest):
        raise ValueError("its trees are longer than the file")
    start = 0
    for number, size in enumerate(sizes):
        _check_tree(rest[start : start + size].decode(), number, n_feature)
        start += size
    _check_tail(rest[start:].decode())


def _entries(lines: list[str], known: dict[str, str]) -> dict[str, str]:
    """Lines ``name=value`` by name, each known one once and of its form."""
    entries = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or name in entries or not re.fullmatch(known.get(name, "(?!)"), value):
            raise ValueError(f"line {line[:60]!r} is not understood")
        entries[name] = value
    if missing := sorted(set(known) - set(entries)):
        raise ValueError(f"lines {missing} are missing")
    return entries


def _check_tree(block: str, number: int, n_feature: int) -> None:
    """Check one block: sizes of its lists, its numbers, and that its nodes form one tree."""
    lines = block.rstrip("\n").split("\n")
    if lines[0] != f"Tree={number}" or not block.endswith("\n\n\n"):
        raise ValueError(f"tree {number} does not begin and end where the head says")
    lists = (*SPLITS, *INTERNAL, *LEAVES)
    entries = _entries(lines[1:], SINGLE | dict.fromkeys(lists, r"[0-9.e+\- infa]*"))
    n_leaf = int(entries["num_leaves"])
    if n_leaf < 1:
        raise ValueError(f"tree {number} has no leaves")
    for names, length in ((SPLITS, n_leaf - 1), (INTERNAL, n_leaf - 1), (LEAVES, n_leaf)):
        for name in names:
            words = entries[name].split(" ") if entries[name] else []
            if len(words) != length and not (n_leaf == 1 and len(words) <= 1):
                raise ValueError(f"tree {number}: {name} are {len(words)}, not {length}")
            numbers = [int(w) if name in WHOLE else float(w) for w in words]
            if not all(map(math.isfinite, numbers)):
                raise ValueError(f"tree {number}: {name} are not finite")
    if n_leaf > 1:
        feature, kind = (_whole(entries[name]) for name in ("split_feature", "decision_type"))
        if not (min(feature) >= 0 and max(feature) < n_feature and {*kind} <= {0, 2, 8, 10}):
            raise ValueError(f"tree {number}: it splits at pixels or in ways that are none")
        children = zip(_whole(entries["left_child"]), _whole(entries["right_child"]), strict=True)
        _check_children(list(children), n_leaf, number)


def _whole(text: str) -> list[int]:
    return [int(word) for word in text.split(" ")]


def _check_children(children: list[tuple[int, int]], n_leaf: int, number: int) -> None:
    """Check that every node but the first, and every leaf, is the child of an earlier node."""
    found = [child for pair in children for child in pair]
    expected = {*range(1, n_leaf - 1), *range(-n_leaf, 0)}
    forward = all(child < 0 or child > k for k, pair in enumerate(children) for child in pair)
    if len(found) != len(expected) or set(found) != expected or not forward:
        raise ValueError(f"tree {number}: its nodes do not form a tree")


def _check_tail(tail: str) -> None:
    """Check what follows the trees: importances, parameters, no categories."""
    parts = tail.split("\n\n")
    if not parts[0].startswith("end of trees") or not tail.rstrip().endswith(
        "pandas_categorical:null"
    ):
        raise ValueError("what follows its trees is not understood")
    if not re.fullmatch(r"[\w\s.,:;=\[\]+\-/]*", tail):
        raise ValueError("what follows its trees holds unusual characters")
