"""The page on one star: what its text says, and that every panel is drawn."""

import numpy as np

from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import quality_value
from starsmith.learners.evaluation.star_card import StarCard, draw_card, text_of
from starsmith.learners.prediction.predict import LabelEstimate


def test_a_page_has_spectrum_posterior_neighbours_and_quality():
    wave = np.linspace(8500.0, 8600.0, 200)
    seen = Observed(wave, 1.0 + 0.1 * np.sin(wave), np.full(200, 0.1))
    doubts = quality_value("few_pixels")
    estimates = (
        LabelEstimate("teff", 4800.0, 50.0, "K", doubts),
        LabelEstimate("logg", 2.5, None, "dex", doubts),
    )
    rows = [{"row": 3, "similarity": 0.9, "teff": 4790.0}]
    card = StarCard("a star", seen, estimates, ("moved to rest",), None, rows)
    text = "\n".join(text_of(card))
    for part in ("few_pixels", "moved to rest", "most similar", "4790"):
        assert part in text
    titles = [panel.get_title() for panel in draw_card(card).axes]
    assert titles[:3] == ["a star: 100% of 200 pixels can be used", "4800 ± 50", "2.5"]
