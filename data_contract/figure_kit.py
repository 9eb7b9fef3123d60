"""What all figures share: one style, palette, texts of axes, an empty figure, the file.

Sizes are those of a journal: a figure is as wide as a page (7.1 inch) or a column (3.4 inch), and
its text is 7 to 8 points at that width. Every function that draws is `styled`: it draws in the
style chosen by `use_style`, and leaves matplotlib's own settings as they were.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.quantities import named
from starsmith.data_contract.spelling import suggestion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

__all__ = [
    "COLOURS",
    "COLUMN",
    "DPI",
    "FLUX_AXIS",
    "GUIDE",
    "INK",
    "PAGE",
    "SHADE",
    "STYLES",
    "WAVE_AXIS",
    "add_notice",
    "axis_of",
    "check_style",
    "check_suffix",
    "colour_of",
    "dodged",
    "legend_above",
    "new_figure",
    "save_figure",
    "styled",
    "symbol_of",
    "thicken",
    "use_style",
]

SUFFIXES = (".pdf", ".png", ".svg", ".eps")
DPI = 300
PAGE, COLUMN = 7.1, 3.4  # inches
# Okabe & Ito (2008), told apart by colour-blind readers and in grey; three more for long lists
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8C564B",
    "#999999",
    "#F0E442",
)
INK, GUIDE, SHADE = "0.2", "0.55", "0.87"
"""Greys of data that has no colour, of lines that guide the eye, of bands behind data."""

FLUX_AXIS = r"flux [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]"
WAVE_AXIS = "vacuum wavelength [Å]"
SAMPLE_WIDTH = 1.2  # of lines in legends
LEGEND_SAMPLE, LEGEND_LETTER = 0.4, 0.05  # inch, of an entry without words and of a letter
NOTICE_COLOUR = "#B00020"

JOURNAL = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "figure.titlesize": 8.0,
    "figure.labelsize": 8.0,
    "figure.constrained_layout.h_pad": 0.03,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.title_fontsize": 7.0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.visible": False,
    "grid.linewidth": 0.4,
    "patch.linewidth": 0.6,
    "image.cmap": "viridis",
    "savefig.dpi": DPI,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
}
TALK = {
    **JOURNAL,
    **{name: 1.5 * size for name, size in JOURNAL.items() if name.endswith("size")},
    "lines.linewidth": 1.6,
    "axes.linewidth": 1.0,
}
STYLES = {"journal": JOURNAL, "talk": TALK}
"""Styles of our own; any style of matplotlib, or a file of one, can be laid over ``journal``."""

_STYLE: ContextVar[str] = ContextVar("style", default="journal")
P, R = ParamSpec("P"), TypeVar("R")


def colour_of(k: int) -> str:
    """Return the k-th colour of the palette, which begins again at its end."""
    return COLOURS[k % len(COLOURS)]


def check_style(name: str) -> None:
    """Raise ConfigError where a style is neither ours, nor matplotlib's, nor a file."""
    if name in STYLES or Path(name).is_file():
        return
    from matplotlib import style

    if name not in style.available:
        known = (*STYLES, *style.available)
        raise ConfigError(
            f"--style {name!r} is not one of {', '.join(STYLES)}, nor a style of matplotlib, nor a "
            f"file{suggestion(name, known)}"
        )


@contextmanager
def use_style(name: str) -> Iterator[None]:
    """Draw in a style: ``journal``, ``talk``, one of matplotlib's, or a file of one.

    Raises
    ------
    ConfigError
        If there is no such style.
    """
    check_style(name)
    token = _STYLE.set(name)
    try:
        yield
    finally:
        _STYLE.reset(token)


@contextmanager
def _drawing() -> Iterator[None]:
    from matplotlib import rc_context, style

    name = _STYLE.get()
    with rc_context(STYLES.get(name, JOURNAL)):
        if name not in STYLES:
            style.use(name)
        yield


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that draws: it does so in the chosen style."""

    @wraps(draw)
    def drawn(*args: P.args, **given: P.kwargs) -> R:
        with _drawing():
            return draw(*args, **given)

    return drawn


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of a size in inches whose parts never overlap; no window opens."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def symbol_of(name: str) -> str:
    """Typeset symbol of a quantity, without its unit: T_eff, log g, [M/H]; others as they are."""
    try:
        symbol = named(name).symbol
    except KeyError:
        return name.replace("_", " ")
    return symbol.rpartition(" [")[0] or symbol or name.replace("_", " ")


def axis_of(name: str, prefix: str = "", unit: str | None = None) -> str:
    """Text of an axis: prefix, symbol and unit of a quantity, as ``predicted log g [dex]``."""
    if unit is None:
        try:
            own = named(name)
        except KeyError:
            unit = ""
        else:
            unit = own.symbol.rpartition(" [")[2].rstrip("]") if " [" in own.symbol else own.unit
    unit = {"dex(cm s-2)": "dex", "1": "", "mag(AB)": "mag"}.get(unit, unit)
    text = f"{prefix} {symbol_of(name)}".strip()
    return f"{text} [{unit}]" if unit else text


def dodged(k: int, n: int, step: float = 0.03) -> float:
    """Factor that moves the k-th of n series aside on a logarithmic axis, so none hides others."""
    return float((1.0 + step) ** (k - 0.5 * (n - 1)))


def legend_above(figure: "Figure", axes: "Axes | Sequence[Axes]", columns: int = 4) -> None:
    """Put the legend of axes above all of them, where it covers nothing; entries once.

    It has fewer columns than asked for where they would be wider than the figure.
    """
    every = list(axes) if isinstance(axes, Sequence) else [axes]
    entries: dict[str, object] = {}
    for one in every:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        return
    column = LEGEND_SAMPLE + LEGEND_LETTER * max(map(len, entries))
    fitting = max(1, int(figure.get_size_inches()[0] / column))
    legend = figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper center",
        ncols=min(columns, fitting, len(entries)),
    )
    thicken(legend)


def thicken(legend: "Legend") -> None:
    """Make the samples of thin lines as thick as can be told apart."""
    for line in legend.get_lines():
        line.set_linewidth(max(line.get_linewidth(), SAMPLE_WIDTH))


def add_notice(figure: "Figure", notice: str) -> None:
    """Print the label of a demonstration grid along the lower edge, below all axes.

    An empty notice changes nothing. The figure is one of `new_figure`.
    """
    if notice:
        figure.supxlabel(notice, fontsize="small", color=NOTICE_COLOUR)


def check_suffix(path: Path | str | None) -> None:
    """Raise ConfigError, before any work, where a figure cannot be written in that format."""
    if path is not None and Path(path).suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: figures are written as {SUFFIXES}; give --plot one of these")


def save_figure(figure: "Figure", path: Path | str, notice: str = "") -> None:
    """Write a figure, complete or not at all; ``notice`` is printed on it where there is one.

    The suffix says the format: vector (pdf, svg, eps) or png of 300 dots an inch.

    Raises
    ------
    ConfigError
        If the suffix names no format that figures are written in.
    """
    check_suffix(path)
    add_notice(figure, notice)
    kind = Path(path).suffix.lower()[1:]
    with _drawing(), staged_file(Path(path), sweep=True) as partial:
        figure.savefig(partial, dpi=DPI, format=kind)
