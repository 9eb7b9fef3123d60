"""What all figures share: palette, texts of axes, an empty figure, the notice, the file."""

from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.atomic import staged_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "DPI",
    "FLUX_AXIS",
    "WAVE_AXIS",
    "add_notice",
    "check_suffix",
    "colour_of",
    "new_figure",
    "save_figure",
]

SUFFIXES = (".pdf", ".png", ".svg")
DPI = 150
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
    "#BCBD22",
)
FLUX_AXIS = r"flux [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]"
WAVE_AXIS = "vacuum wavelength [Å]"
NOTICE_COLOUR = "#B00020"
NOTICE_POINTS = 8


def colour_of(k: int) -> str:
    """Return the k-th colour of the palette, which begins again at its end."""
    return COLOURS[k % len(COLOURS)]


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of a size in inches whose parts never overlap; no window opens."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def add_notice(figure: "Figure", notice: str) -> None:
    """Print the label of a demonstration grid along the lower edge, below all axes.

    An empty notice changes nothing. The figure is one of `new_figure`.
    """
    if notice:
        figure.supxlabel(notice, fontsize=NOTICE_POINTS, color=NOTICE_COLOUR)


def check_suffix(path: Path | str | None) -> None:
    """Raise ConfigError, before any work, where a figure cannot be written in that format."""
    if path is not None and Path(path).suffix not in SUFFIXES:
        raise ConfigError(f"{path}: figures are written as {SUFFIXES}; give --plot one of these")


def save_figure(figure: "Figure", path: Path | str, notice: str = "") -> None:
    """Write a figure, complete or not at all; ``notice`` is printed on it where there is one.

    Raises
    ------
    ConfigError
        If the suffix names no format that figures are written in.
    """
    check_suffix(path)
    add_notice(figure, notice)
    with staged_file(Path(path), sweep=True) as partial:
        figure.savefig(partial, dpi=DPI, format=Path(path).suffix[1:])
