"""The figure kit: a new figure is one function, and looks like the others."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import (
    COLOURS,
    WAVE_AXIS,
    check_suffix,
    colour_of,
    new_figure,
    save_figure,
)

NOTICE = "NOT STARS"


def plot_ratio(path, wave, ratio, notice):
    """A toy: what someone with a new figure writes."""
    figure = new_figure(5.0, 3.0)
    axes = figure.subplots()
    axes.plot(wave, ratio, color=colour_of(1))
    axes.set(xlabel=WAVE_AXIS, ylabel="ratio")
    save_figure(figure, path, notice)
    return figure


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_new_figure_takes_one_function(suffix, tmp_path):
    """The notice stands below every axis and inside the page; only the file is left behind."""
    wave = np.linspace(8000.0, 8100.0, 50)
    figure = plot_ratio(tmp_path / f"toy.{suffix}", wave, wave / wave.mean(), NOTICE)
    assert [path.name for path in tmp_path.iterdir()] == [f"toy.{suffix}"]
    (text,) = figure.texts
    assert text.get_text() == NOTICE
    figure.draw_without_rendering()
    words, panel = text.get_window_extent(), figure.axes[0].get_tightbbox()
    assert 0.0 <= words.y0 < words.y1 <= panel.y0


def test_a_figure_without_notice_has_no_room_for_one(tmp_path):
    """Nothing is printed, and the axes reach the edge."""
    assert not plot_ratio(tmp_path / "toy.png", np.arange(3), np.ones(3), "").texts


def test_other_formats_are_refused_before_anything_is_written(tmp_path):
    """No half-written file, and the formats are named."""
    with pytest.raises(ConfigError, match=r"toy\.jpg: figures are written as .*\.png"):
        plot_ratio(tmp_path / "toy.jpg", np.arange(3), np.ones(3), NOTICE)
    assert not list(tmp_path.iterdir())
    check_suffix(None)


def test_the_palette_begins_again():
    """Lists longer than the palette are drawn, and all colours of it differ."""
    assert len(set(COLOURS)) == len(COLOURS)
    assert colour_of(len(COLOURS)) == colour_of(0)
