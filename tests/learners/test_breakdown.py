"""Numbers that are not finite while training: what is said, what is kept, how it goes on."""

import numpy as np
import pytest
import torch

from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.errors import DataError, DivergedError
from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.recipe import NetworkRecipe, RidgeRecipe
from starsmith.learners.training.divergence import bad_rows, free_name, lower_rate
from starsmith.learners.training.feeds import Batch
from starsmith.learners.training.step import Stepper
from tests.learners.worlds import lines, make_data, uniform_logg


@pytest.fixture
def data():
    """Three batches an epoch."""
    return make_data(lines, uniform_logg, 0.2, (300, 100, 100))


def plant(split, row, epoch_spoilt, value=np.inf, mask=0):
    """Let one pixel of a row be no number in one epoch; None is the draw of record."""
    clean = split.observe

    def observe(rows=None, epoch=None):
        seen = clean(rows, epoch)
        if epoch == epoch_spoilt:
            seen.flux[row, 5], seen.mask[row, 5] = value, mask
        return SpectrumView(flux=seen.flux, error=seen.error, mask=seen.mask)

    object.__setattr__(split, "observe", observe)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lose(monkeypatch, step_lost, what):
    """Let the loss or the gradients of one step, counted from 1, not be numbers."""
    clean, step = Stepper.backward, 0

    def backward(self, batch):
        nonlocal step
        step += 1
        loss = clean(self, batch)
        if step == step_lost and what == "gradient":
            next(self.network.parameters()).grad.view(-1)[0] = torch.nan
        return loss * torch.nan if step == step_lost and what == "loss" else loss

    monkeypatch.setattr(Stepper, "backward", backward)


def test_a_bad_row_is_named_and_the_best_weights_stay(data, tmp_path, tiny_recipe):
    """Row 17 in epoch 2: named with epoch, batch, step and rate; epoch 1 stays usable."""
    view = data.training()
    plant(view.train, 17, 2)

    with pytest.raises(
        DataError,
        match=r"epoch 2, batch \d of 3 \(training rows \d+..\d+; step [456], learning rate .*\): "
        r".*training rows 17: flux not finite.*mask is 0.*epoch 1 are kept in .*specdata verify",
    ):
        fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "run")

    predictor = load_checkpoint(tmp_path / "run")
    assert predictor.card["metrics"]["best_epoch"] == 1
    assert np.isfinite(predict(predictor, data.split("test")).value).all()


def test_once_the_row_is_mended_the_same_call_goes_on(data, tmp_path, tiny_recipe):
    """To the weights of a run that was never disturbed, to the last bit."""
    view = data.training()
    plant(view.train, 17, 2, np.nan)
    with pytest.raises(DataError, match="the same command then goes on"):
        fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "run")

    for name in ("run", "undisturbed"):
        fit("specvit_tiny", data.training(), "logg", tiny_recipe, tmp_path / name)

    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("run", "undisturbed")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_divergence_with_good_rows_lowers_the_rate(data, tmp_path, tiny_recipe, monkeypatch, what):
    """Step 5 is batch 2 of epoch 2: nothing of epoch 2 is written; options go on from epoch 1."""
    out = tmp_path / "run"
    lose(monkeypatch, 5, what)
    kept = []

    def note(row):
        if row["epoch"] == 1:
            kept.append(files(out))

    with pytest.raises(
        DivergedError,
        match=r"epoch 2, batch 2 of 3 .*step 5, .*every spectrum and label seen is. The weights of "
        r"epoch 1 are kept.*learning_rate from 0.003 ",
    ) as raised:
        fit("specvit_tiny", data.training(), "logg", tiny_recipe, out, note)

    assert files(out) == kept[0]
    assert raised.value.exit_code == 2
    assert raised.value.options == (
        *("--lr", "0.0003", "--set", f"initial={out}"),
        *("--out", str(tmp_path / "run-2")),
    )
    changed = {"learning_rate": 3e-4, "initial": str(out), "epochs": 1, "batch_size": 100}
    again = NetworkRecipe(**changed, options=tiny_recipe.options)
    assert fit("specvit_tiny", data.training(), "logg", again, tmp_path / "run-2").metrics


def test_divergence_in_the_first_epoch_promises_no_weights(
    data, tmp_path, tiny_recipe, monkeypatch
):
    """There is nothing to go on from: the options start anew in the same folder."""
    lose(monkeypatch, 1, "loss")
    with pytest.raises(
        DivergedError, match=r"No epoch was completed, .* holds no weights"
    ) as raised:
        fit("specvit_tiny", data.training(), "logg", tiny_recipe, tmp_path / "run")
    assert raised.value.options == ("--lr", "0.0003", "--overwrite")
    assert not (tmp_path / "run/model.safetensors").exists()


def test_weights_lost_in_the_last_step_of_an_epoch_are_not_kept(
    data, tmp_path, tiny_recipe, monkeypatch
):
    """No loss follows the last step: its weights are looked at before they are saved."""
    clean, step = Stepper.take, 0

    def take(self, batch, rate):
        nonlocal step
        step += 1
        loss = clean(self, batch, rate)
        if step == 6:
            with torch.no_grad():
                next(self.network.parameters()).view(-1)[0] = torch.inf
        return loss

    monkeypatch.setattr(Stepper, "take", take)
    with pytest.raises(DivergedError, match=r"epoch 2, batch 3 of 3"):
        fit("specvit_tiny", data.training(), "logg", tiny_recipe, tmp_path / "run")
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("model", ["ridge", "specvit_tiny"])
@pytest.mark.parametrize("name", ["train", "val"])
def test_bad_spectra_of_record_are_refused_by_row(data, tmp_path, tiny_recipe, model, name):
    """NaN where the mask is 0 in the statistics of the input or in validation."""
    view = data.training()
    plant(getattr(view, name), slice(20, 90), None, np.nan)
    recipe = RidgeRecipe() if model == "ridge" else tiny_recipe
    message = f"{name} rows 20, 21, 22, 23, 24 and 65 more: flux not finite in 70 pixels"
    with pytest.raises(DataError, match=message):
        fit(model, view, "logg", recipe, tmp_path / "run")
    assert not (tmp_path / "run/model.safetensors").exists()


def test_masked_pixels_may_hold_anything(data, tmp_path, tiny_recipe):
    """NaN under the mask is what a survey's files hold: training goes on."""
    view = data.training()
    for epoch in (None, 1, 2, 3):
        plant(view.train, 17, epoch, np.nan, mask=1)
    assert fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "run").metrics


def test_bad_rows_are_told_apart():
    """An unknown label is NaN and fine; an infinite one, or its error, is not."""
    flux = torch.zeros(4, 3)
    truth = torch.tensor([[0.0], [torch.nan], [torch.inf], [0.0]])
    error = torch.tensor([[0.0], [torch.nan], [0.0], [torch.inf]])
    found = bad_rows(Batch(flux, truth, error, rows=np.array([10, 11, 12, 13])))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "label": [12],
        "label error": [13],
    }


def test_a_lower_rate_stays_above_its_end():
    """The cosine ends at or below where it begins."""
    assert lower_rate(NetworkRecipe(learning_rate=1e-3)) == ("--lr", "0.0001")
    low = NetworkRecipe(learning_rate=1e-5)
    assert lower_rate(low) == ("--lr", "1e-06", "--set", "learning_rate_min=1e-06")


def test_a_folder_is_never_proposed_twice(tmp_path):
    (tmp_path / "vit-2").mkdir()
    assert free_name(tmp_path / "vit") == tmp_path / "vit-3"
