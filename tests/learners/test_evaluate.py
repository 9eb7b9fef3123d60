"""Scores are taken on the right spectra, in the right bins, and say so."""

import dataclasses
import json

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.learners import compare, evaluate, evaluate_predictions, fit, load_checkpoint
from starsmith.learners.scores.metrics import r2
from tests.learners.worlds import NOTICE, lines, make_data, uniform_logg


def make_predictions(n_spec=600, spread=0.3, seed=0, **changes):
    rng = np.random.default_rng(seed)
    snr = np.exp(rng.uniform(np.log(1.0), np.log(30.0), n_spec))
    truth = rng.uniform(1, 5, (n_spec, 1))
    value = truth + (spread + 1.0 / snr[:, None]) * rng.standard_normal((n_spec, 1))
    fields = {
        "split": "test",
        "seed": 0,
        "index": np.arange(n_spec),
        "snr": snr,
        "labels": ("logg",),
        "units": ("dex(cm s-2)",),
        "truth": truth,
        "value": value,
        "uncertainty": None,
        "model": "m",
        "dataset": "d" * 64,
        "notice": NOTICE,
    }
    return Predictions(**(fields | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set and a ridge regression fitted to it."""
    data = make_data(lines, uniform_logg, 0.2, (400, 100, 150))
    folder = tmp_path_factory.mktemp("ridge") / "run"
    fit("ridge", data.training(), "logg", None, folder)
    return data, load_checkpoint(folder)


def test_bins_partition_the_spectra():
    """Every spectrum is in exactly one bin, a value on an edge in the upper one."""
    predictions = make_predictions(snr=np.full(600, SNR_EDGES[4]))

    evaluation = evaluate_predictions(predictions, n_resample=20)

    counts = [b.n_spec for b in evaluation.bins]
    assert counts == [0, 0, 0, 0, 600, 0, 0, 0, 0]
    assert sum(b.n_spec for b in evaluate_predictions(make_predictions()).bins) == 600


def test_r2_of_a_bin_uses_the_variance_of_its_own_labels():
    """A narrow bin of labels has a lower R2 at the same error: no borrowed variance."""
    predictions = make_predictions()

    evaluation = evaluate_predictions(predictions, snr_edges=(0.0, 5.0, np.inf), n_resample=20)

    for b in evaluation.bins:
        rows = (predictions.snr >= b.snr_min) & (predictions.snr < b.snr_max)
        truth, value = predictions.truth[rows, 0], predictions.value[rows, 0]
        assert b.scores["r2"].value == pytest.approx(r2(truth, value))
        assert b.snr == pytest.approx(np.median(predictions.snr[rows]))


def test_small_bins_are_listed_without_scores():
    """Nineteen stars are counted, not scored."""
    snr = np.full(600, 6.0)
    snr[:19], snr[19:39] = 1.0, 2.5

    evaluation = evaluate_predictions(make_predictions(snr=snr), n_resample=20)

    assert [b.n_spec for b in evaluation.bins[:2]] == [19, 20]
    assert evaluation.bins[0].scores is None
    assert evaluation.bins[1].scores is not None


def test_the_train_split_is_refused_unless_asked_for(trained):
    """Remembered spectra are no test; nor are the same stars under another data set's name."""
    data, predictor = trained
    train = data.split("train")

    with pytest.raises(LeakError, match="trained on these very spectra"):
        evaluate(predictor, train)
    with pytest.raises(DataError, match="another data set"):
        evaluate(predictor, dataclasses.replace(train, digest="e" * 64))

    remembered = evaluate(predictor, train, allow_train=True, n_resample=20).scores["r2"].value
    assert remembered > evaluate(predictor, data.split("test"), n_resample=20).scores["r2"].value


def test_an_evaluation_tells_its_story(trained):
    """Dict, JSON and table carry model, data, unit, counts and notice."""
    data, predictor = trained

    evaluation = evaluate(predictor, data.split("test"), n_resample=50)

    content = json.loads(evaluation.to_json())
    assert content["bins"][-1]["snr_max"] is None
    assert content["scores"]["mae"]["low"] < content["scores"]["mae"]["high"]
    assert content["n_spec"] == 150
    table = evaluation.to_markdown()
    for words in ("**ridge**", "logg [dex(cm s-2)]", "| all | 150 |", NOTICE):
        assert words in table


def test_comparison_is_paired(trained):
    """Two models are compared on the same draws or not at all."""
    better, worse = make_predictions(spread=0.20), make_predictions(spread=0.22)

    difference = compare(better, worse, n_resample=200)

    assert difference["r2"].low > 0.0
    assert difference["mae"].high < 0.0
    with pytest.raises(DataError, match="different draws"):
        compare(better, make_predictions(n_spec=500))
    with pytest.raises(DataError, match="different draws"):
        compare(better, make_predictions(split="val"))


def test_nothing_to_score_is_said():
    """An empty split and an absent label are refused by name."""
    with pytest.raises(DataError, match="no spectra"):
        evaluate_predictions(make_predictions(n_spec=0))
    with pytest.raises(DataError, match="'teff' was not predicted"):
        evaluate_predictions(make_predictions(), label="teff")
