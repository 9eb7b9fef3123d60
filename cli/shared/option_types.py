"""Option types whose complaint contains the fix."""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import click
from click import Context, Parameter

from starsmith.cli.shared.written_values import (
    NUMBER,
    SECONDS,
    to_own_unit,
)
from starsmith.data_contract.quantities import LABELS, quantity_called
from starsmith.data_contract.spelling import alike, suggestion

__all__ = [
    "LABEL_NAMES",
    "SPLIT_NAMES",
    "Count",
    "Duration",
    "Edges",
    "Labels",
    "Measure",
    "Named",
    "Range",
    "ShardSpan",
    "Shares",
    "SplitCounts",
    "Values",
]

LABEL_NAMES = LABELS
SPLIT_NAMES = ("train", "val", "test")
MAX_COUNT = 2**32 - 1  # a spectrum index is one 32-bit word of the random counter

PLAIN = r"\d{1,15}(?:\.\d{1,15})?"
SIGNED = NUMBER
UNIT = r"\s*((?![eE]\d)[^\d\s.,+\-–:;\[\]()][^\s.,\-–:;]*)?"
THOUSANDS = {"k": 1000, "m": 1000_000}


class Named(click.Choice):
    """One of some names, in any case and punctuation; a slip is answered with the name meant."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the name, or fail with the nearest one."""
        text = str(value)
        known = {self.normalize_choice(name, ctx): name for name in self.choices}
        if text in known:
            return known[text]
        if found := alike(text, known):
            return known[found]
        known_names = ", ".join(map(repr, known))
        self.fail(f"{text!r} is not one of {known_names}{suggestion(text, known)}", param, ctx)


class Labels(Named):
    """A label by its name or an alias: ``log_g``, ``[Fe/H]``."""

    def __init__(self) -> None:
        super().__init__(LABEL_NAMES)

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the label's own name, or fail with the nearest one."""
        called = quantity_called(str(value))
        return super().convert(called if called in LABEL_NAMES else value, param, ctx)


class Count(click.ParamType):
    """``2000``, ``1e6`` or ``1.5e3`` -> int, at least ``minimum``."""

    name = "N"

    def __init__(self, minimum: int = 1, maximum: int = MAX_COUNT):
        self.minimum = minimum
        self.maximum = maximum

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> int:
        """Return the whole number, or fail with how to write one."""
        text = str(value).strip()
        allowed = f"write a whole number from {self.minimum} to {self.maximum}, like 2000 or 1e6"
        if not re.fullmatch(rf"{PLAIN}(?:[eE]\+?\d{{1,2}})?", text, re.ASCII):
            self.fail(f"{text!r} is not a count{_count_meant(text)}; {allowed}", param, ctx)
        number = Decimal(text)
        if number != int(number) or not self.minimum <= number <= self.maximum:
            self.fail(f"{text!r} is out of range; {allowed}", param, ctx)
        return int(number)


def _count_meant(text: str) -> str:
    """What a count with a slip probably was: ``10k``, ``1,000``, ``1_000``."""
    found = re.fullmatch(rf"({PLAIN})\s*([kKmM]?)", re.sub(r"(?<=\d)[,_ ](?=\d{3})", "", text))
    if not found:
        return ""
    number = Decimal(found[1]) * THOUSANDS.get(found[2].lower(), 1)
    return f"; did you mean {int(number)}?" if number == int(number) else ""


class ShardSpan(click.ParamType):
    """``0:50`` -> range(0, 50)."""

    name = "FIRST:STOP"

    def __init__(self, what: str = "shards"):
        self.what = what

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> range:
        """Return the numbers, or fail with how to write them."""
        if isinstance(value, range):
            return value
        found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", str(value).strip(), re.ASCII)
        if not found or not int(found[1]) < int(found[2]):
            self.fail(
                f"{value!r} is not a span of {self.what}; write 0:50 for the first 50", param, ctx
            )
        return range(int(found[1]), int(found[2]))


class Range(click.ParamType):
    """``20.5-22.5``, ``-2.5..0.75`` or ``4000K-5000K`` -> (min, max); one number -> (it, it).

    Parameters
    ----------
    quantity : str, optional
        What it is a range of: values may have a unit, which is converted to the glossary's.
    """

    name = "MIN..MAX"

    def __init__(self, quantity: str = ""):
        self.quantity = quantity

    def convert(
        self, value: Any, param: Parameter | None, ctx: Context | None
    ) -> tuple[float, float]:
        """Return (min, max), or fail with the range that was probably meant."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = "..".join(str(bound) for bound in value)
        text = str(value).strip()
        match = re.fullmatch(rf"({SIGNED}){UNIT}(?:\s*\.\.\s*({SIGNED}){UNIT})?", text)
        mark = ".." if match else "-"
        match = match or re.fullmatch(rf"({PLAIN}){UNIT}\s*[-–]\s*({PLAIN}){UNIT}", text)
        if match is None or (not text.isascii() and re.search(r"[^\x00-\x7f–°Åå]", text)):
            self.fail(f"{text!r} is not a range{_meant(text)}; {HOW_RANGES}", param, ctx)
        first, unit, second, other = match.groups()
        low, high = float(first), float(second or first)
        units = {word for word in (unit, other) if word}
        if len(units) > 1:
            self.fail(f"{text!r} has two units; give both ends the same one", param, ctx)
        if units and not self.quantity:
            self.fail(f"{text!r} has a unit, but this is a plain number; drop it", param, ctx)
        if low > high:
            unit = next(iter(units), "")
            meant = f"{second}{mark}{first}{unit}"
            self.fail(f"{text!r} runs downwards; did you mean {meant}?", param, ctx)
        if not units:
            return low, high
        try:
            return to_own_unit(self.quantity, (low, high), units.pop())
        except ValueError as problem:
            self.fail(f"{text!r}: {problem}", param, ctx)


HOW_RANGES = "write it as 20.5-22.5 or 20.5..22.5, with negative bounds as -2.5..0.75"


def _meant(text: str) -> str:
    """What a range with a slip probably was: decimal commas, a colon, ``to``, two words."""
    tried = re.sub(r"(?<=\d),(?=\d)", ".", text) if text.count(",") != 1 else text
    tried = re.sub(r"\s*(?:\bto\b|:|;|,|\s-\s|\s)\s*", "..", tried.strip("[]() "))
    alone = re.fullmatch(r"\d+,\d+", text)  # 0,8: one number, with the comma of the continent
    tried = text.replace(",", ".") if alone and not float(text.split(",")[1]) > 99 else tried
    fits = re.fullmatch(rf"({SIGNED})(?:\.\.({SIGNED}))?|({PLAIN})-({PLAIN})", tried, re.ASCII)
    return f"; did you mean {tried}?" if fits and tried != text else ""


class Measure(click.ParamType):
    """``900``, ``15min`` or ``0.8arcsec`` -> float, in the unit of the glossary."""

    def __init__(self, quantity: str):
        self.quantity = quantity
        self.name = "value"

    def get_metavar(self, param: Parameter, ctx: Context) -> str:
        """How help prints it."""
        return "VALUE"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> float:
        """Return the number, or fail with how to write one."""
        text = str(value).strip()
        match = re.fullmatch(rf"({SIGNED}){UNIT}", text)
        if match is None:
            self.fail(
                f"{text!r} is not a number{_meant(text)}; write one, with a unit or without",
                param,
                ctx,
            )
        try:
            return to_own_unit(self.quantity, (float(match[1]),), match[2] or "")[0]
        except ValueError as problem:
            self.fail(f"{text!r}: {problem}", param, ctx)


class Edges(click.ParamType):
    """``0,5,10,inf`` -> increasing bin edges; ``default``, ``specvit`` -> ours, or the paper's."""

    name = "EDGES"

    def convert(
        self, value: Any, param: Parameter | None, ctx: Context | None
    ) -> tuple[float, ...]:
        """Return the edges, or fail with an example."""
        if isinstance(value, tuple):
            return value
        if value == "default":
            from starsmith.data_contract.quantities import SNR_EDGES

            return SNR_EDGES
        if value == "specvit":
            from starsmith.data_contract.quantities import SPECVIT_SNR_EDGES

            return SPECVIT_SNR_EDGES
        parts = [part.strip() for part in str(value).split(",")]
        if not all(re.fullmatch(rf"{PLAIN}|inf", part, re.ASCII) for part in parts):
            self.fail(
                f"{value!r} are not bin edges; write numbers with commas, like 0,5,10,inf",
                param,
                ctx,
            )
        edges = tuple(float(part) for part in parts)
        if len(edges) < 2 or any(a >= b for a, b in pairwise(edges)):
            self.fail(
                f"{value!r}: edges must increase and be at least two, like 0,5,10,inf", param, ctx
            )
        return edges


class SplitCounts(click.ParamType):
    """``train=8000,val=1000,test=1000`` -> {split: count}."""

    name = "sizes"

    def get_metavar(self, param: Parameter, ctx: Context) -> str:
        """How help prints it: as it can be typed."""
        return "train=N,val=N,test=N"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> dict[str, int]:
        """Return the counts by split, or fail with an example."""
        if isinstance(value, dict):
            value = ",".join(f"{split}={count}" for split, count in value.items())
        counts = {}
        for part in str(value).split(","):
            split, equals, count = part.strip().partition("=")
            split = split.lower()
            if not equals or split not in SPLIT_NAMES or split in counts:
                self.fail(
                    f"{value!r} are not split sizes; write train=8000,val=1000,test=1000",
                    param,
                    ctx,
                )
            counts[split] = Count().convert(count, param, ctx)
        if missing := [split for split in SPLIT_NAMES if split not in counts]:
            self.fail(f"{value!r} lacks {missing}; every split needs a size", param, ctx)
        return {split: counts[split] for split in SPLIT_NAMES}


class Numbers(click.ParamType):
    """``20.5,21,22`` -> increasing numbers."""

    name = "A,B,..."

    def convert(
        self, value: Any, param: Parameter | None, ctx: Context | None
    ) -> tuple[float, ...]:
        """Return the numbers, or fail with an example."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        numbers = tuple(float(p) for p in parts if re.fullmatch(SIGNED, p, re.ASCII))
        if len(numbers) < len(parts) or any(a >= b for a, b in pairwise(numbers)):
            self.fail(f"{value!r}: write increasing numbers, like 20.5,21,22", param, ctx)
        return numbers


class Shares(click.ParamType):
    """``0.8,0.1,0.1`` or ``80,10,10`` -> shares of the splits, whose sum is 1.

    ``folders`` -> (): every file is of the split that its folder, or itself, is named after.
    """

    name = "TRAIN,VAL,TEST|folders"

    def convert(
        self, value: Any, param: Parameter | None, ctx: Context | None
    ) -> tuple[float, ...]:
        """Return the shares, or fail with an example."""
        if isinstance(value, tuple) or value == "folders":
            return () if value == "folders" else value
        parts = [part.strip() for part in re.split("[,/]", str(value))]
        numbers = [float(part) for part in parts if re.fullmatch(SIGNED, part, re.ASCII)]
        if len(numbers) < len(parts) or len(parts) != 3 or min(numbers) < 0 or not sum(numbers):
            self.fail(
                f"{value!r}: write shares of train, val and test, 0.8,0.1,0.1, or folders",
                param,
                ctx,
            )
        return tuple(number / sum(numbers) for number in numbers)


class Duration(click.ParamType):
    """``30d``, ``12h``, ``90m`` or ``5400s`` -> seconds."""

    name = "TIME"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> float:
        """Return seconds, or fail with an example."""
        match = re.fullmatch(rf"({PLAIN})\s*([a-z]+)", str(value).strip().lower(), re.ASCII)
        if match is None or match[2] not in SECONDS or not float(match[1]) > 0.0:
            self.fail(f"{value!r} is not a duration; write 30d, 12h, 90m or 5400s", param, ctx)
        return float(match[1]) * SECONDS[match[2]]


class Values(click.ParamType):
    """``teff=4750,logg=2.5`` or ``Teff=4750K,[Fe/H]=-1`` -> {label: value}.

    Parameters
    ----------
    names : sequence of str
        What may be named; labels by default.
    """

    name = "LABEL=VALUE,..."

    def __init__(self, names: Sequence[str] = LABEL_NAMES):
        self.names = names

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> dict[str, float]:
        """Return the values by label, or fail with an example."""
        if isinstance(value, dict):
            value = ",".join(f"{name}={number}" for name, number in value.items())
        values = {}
        for part in filter(None, str(value).split(",")):
            written, _, number = (word.strip() for word in part.partition("="))
            name = quantity_called(written) or written
            match = re.fullmatch(rf"({SIGNED}){UNIT}", number)
            if name not in self.names or name in values or not match:
                near = suggestion(written, self.names) if name not in self.names else ""
                self.fail(
                    f"{part.strip()!r} is not a label and its value{near}; write "
                    f"teff=4750,logg=2.5,m_h=-1 (labels: {', '.join(self.names)})",
                    param,
                    ctx,
                )
            try:
                (values[name],) = to_own_unit(name, (float(match[1]),), match[2] or "")
            except ValueError as problem:
                self.fail(f"{part.strip()!r}: {problem}", param, ctx)
        return values
