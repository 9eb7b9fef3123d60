"""The guard: a learner gets labels and observed spectra of train and val, and nothing more."""

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import Dataset, open_dataset
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.noise.view import NoiseTables
from tests.data_contract.example import make_header, true_sigma, write_example

FORBIDDEN = (Split, Dataset, NoiseTables)


@pytest.fixture(scope="module")
def dataset(pristine):
    return open_dataset(pristine)


@pytest.fixture(scope="module")
def view(dataset):
    return dataset.training()


def reachable(thing, depth=4):
    """Everything attributes lead to, private ones included."""
    if depth == 0 or isinstance(thing, (str, int, float, bool, np.ndarray, type(None))):
        return
    yield thing
    names = [name for name in dir(thing) if not name.startswith("__")]
    for name in names:
        yield from reachable(getattr(thing, name), depth - 1)


def test_no_attribute_leads_to_the_answers(view):
    """Neither the test split, nor noiseless flux, nor noise tables, by any path of names."""
    assert not any(isinstance(thing, FORBIDDEN) for thing in reachable(view))
    for holder in (view, view.train, view.val):
        names = set(dir(holder))
        assert not names & {"test", "split", "flux_model", "draws", "noise", "dataset", "header"}
    with pytest.raises((AttributeError, TypeError)):
        view.train.extra = 1  # and nothing can be hung on it


def test_no_array_is_the_noiseless_flux(dataset, view):
    """What observe returns scatters about flux_model by the true noise; error is not it."""
    split = dataset.split("train")
    seen = view.train.observe(epoch=3)
    residual = (seen.flux.astype(np.float64) - split.flux_model()) / true_sigma(split)
    assert abs(residual.var() - 1) < 4 * np.sqrt(2 / residual.size)
    assert (seen.error == true_sigma(split)).mean() < 1e-2
    assert set(type(seen).__dataclass_fields__) == {"wave", "flux", "error", "mask"}


def test_training_noise_is_fresh_and_validation_noise_is_not(dataset, view):
    """Each epoch of train is new; val is the draw of record whatever is asked."""
    assert view.train.fresh_noise
    assert not view.val.fresh_noise
    rows = np.array([5, 1])
    epochs = [view.train.observe(rows, epoch=k).flux for k in (0, 1)]
    assert (epochs[0] == epochs[1]).mean() < 1e-2
    np.testing.assert_array_equal(
        view.train.observe(rows).flux, dataset.split("train").observe(rows).flux
    )
    record = dataset.split("val").observe(rows).flux
    for epoch in (None, 0, 7):
        np.testing.assert_array_equal(view.val.observe(rows, epoch=epoch).flux, record)


def test_labels_and_snr_are_those_of_the_split(dataset, view):
    """Same rows, same order."""
    for name in ("train", "val"):
        split, part = dataset.split(name), getattr(view, name)
        np.testing.assert_array_equal(part.labels, split.labels)
        np.testing.assert_array_equal(part.label("logg"), split.label("logg"))
        np.testing.assert_array_equal(part.snr, split.snr)
        assert len(part) == len(split)


def test_a_frozen_store_says_that_its_noise_is_not_fresh(noise, tmp_path):
    """Every epoch then returns the frozen draw."""
    path = tmp_path / "frozen.zarr"
    write_example(path, make_header(noise, store="frozen", keep_bits=10))
    train = open_dataset(path).training().train
    assert not train.fresh_noise
    np.testing.assert_array_equal(train.observe(epoch=1).flux, train.observe(epoch=2).flux)
