"""Ridge and trees: known optima, invariances, reproducibility."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from starsmith.learners import evaluate, fit, load_checkpoint, predict
from starsmith.learners.estimators.ridge import normal_equations
from starsmith.learners.estimators.trees import TreesEstimator
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics
from starsmith.learners.recipe import RidgeRecipe, TreesRecipe
from starsmith.learners.scores.metrics import r2
from tests.learners.worlds import lines, make_data, uniform_logg

TREES = TreesRecipe(rounds=40, n_leaves=7, patience=10, learning_rate=0.2, threads=1)


def blocks_of(inputs, size=700):
    """Cut inputs into blocks, as they come from a file."""
    for start in range(0, len(inputs), size):
        rows = slice(start, min(start + size, len(inputs)))
        yield rows, inputs[rows]


def test_streamed_ridge_equals_sklearn():
    """Normal equations over blocks give the textbook solution, intercept included."""
    rng = np.random.default_rng(0)
    inputs = (rng.normal(size=(2000, 30)) + 0.3).astype(np.float32)
    targets = (inputs[:, :2] * 2 + rng.normal(size=(2000, 2)) + 5).astype(np.float32)

    ours = normal_equations(blocks_of(inputs), targets).solve(50.0)
    theirs = Ridge(alpha=50.0).fit(inputs.astype(np.float64), targets.astype(np.float64))

    np.testing.assert_allclose(ours.weights, theirs.coef_.T, atol=1e-10)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_, atol=1e-10)


def test_ridge_reaches_the_best_possible_r2_of_a_linear_gaussian_world():
    """Where the posterior mean is linear, ridge with the right penalty is the optimum."""
    rng = np.random.default_rng(7)
    n_wave, n_star, sigma = 40, 60_000, 4.0
    jacobian = rng.normal(size=n_wave)
    logg = rng.normal(size=(n_star, 1))
    flux = (logg * jacobian + sigma * rng.normal(size=(n_star, n_wave))).astype(np.float32)
    information = jacobian @ jacobian / sigma**2
    best = 1.0 - 1.0 / (1.0 + information)  # prior variance 1

    half = n_star // 2
    estimator = normal_equations(blocks_of(flux[:half]), logg[:half].astype(np.float32)).solve(1.0)
    reached = r2(logg[half:, 0], estimator(flux[half:])[0][:, 0])

    # scatter of R2 from 30,000 stars, 2 (1 - R2) sqrt(R2 / n) = 3e-3; 40 weights cost 40 / n
    assert reached == pytest.approx(best, abs=1.2e-2)


def test_fitted_ridge_scores_below_but_near_the_optimum(tmp_path):
    """From noisy flux to label through the whole chain: median, standardisation, val, file."""
    rng = np.random.default_rng(7)
    jacobian = rng.normal(size=65)
    jacobian -= jacobian.mean()
    data = make_data(
        lambda labels: 20.0 + labels * jacobian,
        lambda rng, n: rng.normal(size=(n, 1)),
        4.0,
        (8000, 1000, 4000),
    )
    best = 1.0 - 1.0 / (1.0 + jacobian @ jacobian / 16.0)

    fit("ridge", data.training(), "logg", RidgeRecipe(), tmp_path)
    reached = evaluate(load_checkpoint(tmp_path), data.split("test")).scores["r2"]

    # A noisy median costs a little: 1.25 sigma / sqrt(65) in a world of brightness 20.
    assert best - 0.05 < reached.value < best + 3 * reached.error


def test_more_noise_copies_help_or_do_no_harm(tmp_path):
    """Ridge on four draws of the noise of few stars is at least as good as on one."""
    data = make_data(lines, uniform_logg, 0.3, (300, 300, 2000))
    scores = []
    for copies in (1, 4):
        fit(
            "ridge",
            data.training(),
            "logg",
            RidgeRecipe(noise_copies=copies),
            tmp_path / str(copies),
        )
        found = predict(load_checkpoint(tmp_path / str(copies)), data.split("test"))
        scores.append(r2(found.truth[:, 0], found.value[:, 0]))

    assert scores[1] > scores[0] + 0.02


@pytest.mark.parametrize(("model", "recipe"), [("ridge", RidgeRecipe()), ("lightgbm", TREES)])
def test_classical_models_are_reproducible_and_read_back(model, recipe, tmp_path):
    """Two fits are the same file, and a loaded model predicts what validation scored."""
    data = make_data(lines, uniform_logg, 0.2, (600, 200, 200))

    results = [fit(model, data.training(), "logg", recipe, tmp_path / k) for k in ("a", "b")]

    found = predict(load_checkpoint(tmp_path / "a"), data.split("val"))
    error = np.abs(found.value - found.truth).mean()
    assert error == pytest.approx(results[0].metrics["val_mae"]["logg"], rel=1e-9)
    assert error < 0.6 * np.abs(found.truth - found.truth.mean()).mean()
    for name in ("model.safetensors", "trees/logg.txt", "metrics.jsonl"):
        if (tmp_path / "a" / name).exists():
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_trees_do_not_care_how_pixels_are_scaled():
    """A tree sees only the order of values: other units per pixel, the same predictions.

    A published comparison in which standardised input scored far worse was therefore a
    mismatch between training and test preprocessing.
    """
    import lightgbm

    rng = np.random.default_rng(0)
    flux = rng.normal(1, 0.1, (800, 20))
    logg = flux[:, 3] * 10 + rng.normal(size=800) * 0.1
    scale = 2.0 ** rng.integers(-6, 6, 20)  # powers of two: the order survives rounding

    def predictions(inputs):
        data = lightgbm.Dataset(inputs, logg)
        settings = {"num_leaves": 7, "verbosity": -1, "num_threads": 1, "deterministic": True}
        booster = lightgbm.train(settings, data, num_boost_round=20)
        return TreesEstimator((booster,), 1)(inputs)[0]

    np.testing.assert_allclose(predictions(flux * scale), predictions(flux), rtol=1e-10)


def test_trees_learn_two_labels(tmp_path):
    """One ensemble per label, both written, both read."""
    data = make_data(
        lambda labels: lines(labels[:, :1]) * (1 + 0.1 * labels[:, 1:] * np.linspace(-1, 1, 128)),
        lambda rng, n: rng.uniform([1, -2], [5, 0], (n, 2)),
        0.05,
        (800, 200, 200),
        label_names=("logg", "m_h"),
    )

    fit("lightgbm", data.training(), ("logg", "m_h"), TREES, tmp_path)
    found = predict(load_checkpoint(tmp_path), data.split("test"))

    assert sorted(p.name for p in (tmp_path / "trees").iterdir()) == ["logg.txt", "m_h.txt"]
    assert (r2(found.truth.T, found.value.T) > 0.5).all()


def test_statistics_survive_a_checkpoint():
    """Names in, the same numbers out."""
    statistics = Statistics(
        np.arange(3.0), Normaliser(np.ones(3), np.full(3, 2.0)), LabelScale(np.ones(1), np.ones(1))
    )

    copy = Statistics.from_tensors(statistics.tensors() | {"model.x": np.zeros(1)})

    assert {k: v.tolist() for k, v in copy.tensors().items()} == {
        k: v.tolist() for k, v in statistics.tensors().items()
    }
