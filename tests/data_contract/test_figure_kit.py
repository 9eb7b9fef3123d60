"""The figure kit: a new figure is one function, and looks like the others."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import (
    COLOURS,
    PAGE,
    WAVE_AXIS,
    axis_of,
    check_suffix,
    colour_of,
    dodged,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
    use_style,
)
from starsmith.data_contract.observed import Observed
from starsmith.simulator.observe import observe_star

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


def test_names_are_typeset():
    """T_eff, log g, [M/H] with their units; what is no quantity stays as it is."""
    assert axis_of("teff", "true") == r"true $T_{\rm eff}$ [K]"
    assert symbol_of("logg") == r"$\log g$"
    assert axis_of("m_h") == "[M/H] [dex]"
    assert axis_of("zenith_angle") == "zenith angle [deg]"
    assert symbol_of("my_label") == "my label"


def test_a_style_lasts_as_long_as_it_is_used(tmp_path):
    """Text of talks is half as large again; matplotlib's own settings stay what they were."""
    from matplotlib import rcParams

    before = dict(rcParams)

    @styled
    def size():
        return new_figure(PAGE, 2.0).subplots().xaxis.label.get_size()

    journal = size()
    with use_style("talk"):
        talk = size()
    assert (journal, talk) == (8.0, 12.0)
    assert size() == journal
    assert dict(rcParams) == before
    own = tmp_path / "mine.mplstyle"
    own.write_text("axes.labelsize: 5\n")
    with use_style(str(own)):
        assert size() == 5.0
    with pytest.raises(ConfigError, match="did you mean journal"), use_style("jurnal"):
        pass


def test_series_are_moved_aside_and_the_middle_one_is_not():
    moved = [dodged(k, 3) for k in range(3)]
    assert moved[1] == 1.0
    assert moved[0] * moved[2] == pytest.approx(1.0)


def test_spectra_and_tables_draw_themselves(toy_bank, tmp_path):
    """The title says which star; nothing but data stands in the panels; vector and raster."""
    star = observe_star(toy_bank, {"teff": 4750, "logg": 2.5, "m_h": -1, "mag": 20})
    figure = star.plot(notice=NOTICE)
    title = figure.axes[0].get_title()
    assert "$T_{\\rm eff}$ 4750 K" in title
    assert "[M/H] -1.00" in title
    assert [text for axes in figure.axes for text in [axes.get_legend()] if text] == []
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"observed", "noiseless", r"$\pm 1\sigma$ error"}
    for suffix in ("pdf", "png"):
        figure.savefig(tmp_path / f"star.{suffix}")
    assert (tmp_path / "star.pdf").read_bytes()[:4] == b"%PDF"
    mask = np.zeros(star.wave.size, dtype=int)
    mask[10:20] = 1
    seen = Observed(star.wave, star.flux[0], star.error[0], mask)
    assert {t.get_text() for t in seen.plot().legends[0].get_texts()} > {"not usable"}


def test_a_legend_of_long_names_is_no_wider_than_its_figure():
    """Eight models with their seeds, as reports have them: fewer columns, nothing cut off."""
    figure = new_figure(7.1, 2.6)
    axes = figure.add_subplot()
    for model in ("bilstm_tiny", "convstem_lstm_tiny"):
        for how in ("fine-tuned", "from scratch"):
            for seed in (42, 43):
                axes.plot([0, 1], [0, seed], label=f"{model} ({how}, seed {seed})")
    legend_above(figure, axes)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
