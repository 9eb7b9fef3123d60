"""scikit-learn, a network of one's own, and loggers, each with the real library."""

import time

import numpy as np
import pytest

from starsmith.data_contract import open_dataset
from starsmith.data_contract.errors import ConfigError
from starsmith.learners.estimators import registry
from starsmith.simulator import write_dataset
from starsmith.simulator.prior import Prior

torch = pytest.importorskip("torch", reason="torch comes with starsmith[learn]")
sklearn = pytest.importorskip("sklearn", reason="scikit-learn comes with starsmith[sklearn]")

EXCEPTIONS = {
    "check_positive_only_tag_during_fit": "noise leaves single pixels below zero: that is no error",
    "check_array_api_input": "only with SCIPY_ARRAY_API set",
}


@pytest.fixture(scope="module")
def data(toy_bank, tmp_path_factory):
    path = tmp_path_factory.mktemp("interfaces") / "d.zarr"
    prior = Prior.default().with_ranges(mag=(19.0, 20.0))
    write_dataset(toy_bank, prior, 600, path, seed=5)
    return open_dataset(path)


@pytest.mark.slow
def test_scikit_learn_takes_the_estimator_for_one_of_its_own():
    from sklearn.utils.estimator_checks import check_estimator

    from starsmith.learners.interfaces.regressor import SpectrumRegressor

    done = check_estimator(
        SpectrumRegressor("ridge"),
        expected_failed_checks=EXCEPTIONS,
        on_fail=None,
        on_skip=None,
    )

    failed = {one["check_name"]: one["exception"] for one in done if one["status"] == "failed"}
    assert failed == {}
    assert len(done) > 45


def test_an_estimator_is_tuned_in_a_pipeline_and_cloned(data):
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    from starsmith.learners.interfaces.regressor import SpectrumRegressor

    train = data.split("train")
    flux, logg = train.observe().flux, train.label("logg")
    model = SpectrumRegressor("ridge", wave=train.wave)

    scores = cross_val_score(model, flux[:200], logg[:200], cv=2)
    copy = clone(model).fit(flux, train.labels)

    assert np.all(scores > 0.3)
    assert copy.predict(flux[:5]).shape == (5, 3)
    with pytest.raises(ValueError, match="states no uncertainties"):
        copy.predict_uncertainty(flux[:5])


def test_a_network_of_ones_own_is_judged_under_the_ceiling_in_one_call(
    data, toy_bank, tmp_path, monkeypatch
):
    from starsmith.learners.interfaces.loggers import training_logger
    from starsmith.learners.interfaces.own_network import judge_network

    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))  # others see no new name

    class Small(torch.nn.Sequential):
        def __init__(self, n_wave, n_output):
            super().__init__(
                torch.nn.Linear(n_wave, 16), torch.nn.GELU(), torch.nn.Linear(16, n_output)
            )

    seen = {}
    found = judge_network(
        Small,
        data,
        bank=toy_bank,
        out=tmp_path / "own",
        settings={"epochs": 2, "batch_size": 64},
        n_template=1000,
        progress=training_logger(lambda scores, step: seen.update({step: scores})),
    )

    assert not found.verdict.leak
    assert found.table.row("all").r2["posterior_mean"][0] > found.evaluation.scores["r2"].value
    assert "under the ceiling" in str(found)
    assert len(seen) == 2
    assert all("val_mae/logg" in scores for scores in seen.values())


def test_scores_reach_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from starsmith.learners.interfaces.loggers import training_logger

    write = training_logger("tensorboard", tmp_path)
    write({"epoch": None, "train_loss": 1.0})
    write({"epoch": 3, "train_loss": 0.5, "val_mae": {"logg": 0.2}, "best": True})

    content = b"".join(path.read_bytes() for path in tmp_path.rglob("events*"))
    assert b"val_mae/logg" in content


def test_scores_reach_wandb(tmp_path, monkeypatch):
    """Offline, as on a cluster's node: its own file of the run holds every number."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    from starsmith.learners.interfaces.loggers import training_logger

    monkeypatch.setenv("WANDB_MODE", "offline")
    write = training_logger("wandb", tmp_path, name="first")
    for epoch in (1, 2):
        write({"epoch": epoch, "val_mae": {"logg": 0.5 / epoch}})
    import wandb

    wandb.finish()
    (file,) = tmp_path.rglob("run-*.wandb")
    end = time.monotonic() + 10.0  # its service writes on for a moment
    while not (wrote := b"0.25" in (kept := file.read_bytes())) and time.monotonic() < end:
        time.sleep(0.1)
    assert wrote
    assert b"val_mae/logg" in kept


def test_scores_reach_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    from starsmith.learners.interfaces.loggers import training_logger

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    write = training_logger("mlflow")
    with mlflow.start_run() as run:
        for epoch in (1, 2):
            write({"epoch": epoch, "val_mae": {"logg": 0.5 / epoch}})
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_mae/logg")
    assert [(one.step, one.value) for one in history] == [(1, 0.5), (2, 0.25)]


def test_an_unknown_logger_is_answered():
    from starsmith.learners.interfaces.loggers import training_logger

    with pytest.raises(ConfigError, match="did you mean wandb"):
        training_logger("wanbd")


def test_the_pair_for_sbi_draws_stars_of_these_parameters(toy_bank):
    """Noiseless means follow the bank; noise is new in every call; outside the grid is NaN."""
    from starsmith.learners.interfaces.sbi_pair import simulator_and_prior
    from starsmith.simulator.rendering.interpolate import interpolate

    ranges = Prior.default().with_ranges(mag=(17.0, 17.5), a_m=(0.0, 0.0)).ranges
    simulate, prior, names = simulator_and_prior(toy_bank, ranges)
    theta = torch.tensor([[4750.0, 2.5, -1.0, 17.2]]).repeat(200, 1)

    flux, again = simulate(theta), simulate(theta)
    model = interpolate(toy_bank, theta[:1, :3].double().numpy(), np.array([17.2]))[0]
    outside = simulate(torch.tensor([[20000.0, 2.5, -1.0, 17.2]]))

    assert names == ("teff", "logg", "m_h", "mag")
    assert prior.sample((5,)).shape == (5, 4)
    assert torch.isfinite(prior.log_prob(theta[0]))
    assert not torch.equal(flux, again)
    mean = flux.mean(dim=0).numpy()
    # the median of a noisy spectrum lies beside that of its noiseless one: shapes are compared
    deviation = mean / mean.mean() - model / model.mean()
    assert np.mean(np.abs(deviation) < 4 * flux.std(dim=0).numpy() / np.sqrt(200)) > 0.98
    assert torch.isnan(outside).all()
    assert simulate(theta[0]).shape == (toy_bank.wave.size,)


@pytest.mark.slow
def test_sbi_learns_a_posterior_from_the_pair(toy_bank, tmp_path, monkeypatch):
    """A minute of NPE: the truth of a bright star lies within its posterior."""
    inference = pytest.importorskip("sbi.inference", reason="sbi comes with starsmith[sbi]")
    from starsmith.learners.interfaces.sbi_pair import simulator_and_prior

    ranges = Prior.default().with_ranges(mag=(17.0, 17.0)).ranges
    simulate, prior, names = simulator_and_prior(toy_bank, ranges)
    theta = prior.sample((1500,))
    monkeypatch.chdir(tmp_path)  # where sbi writes its log
    trainer = inference.NPE(prior)
    trainer.append_simulations(theta, simulate(theta)).train(max_num_epochs=30)
    truth = torch.tensor([4750.0, 2.5, -1.0])
    drawn = trainer.build_posterior().sample((300,), x=simulate(truth), show_progress_bars=False)

    z = (truth - drawn.mean(dim=0)) / drawn.std(dim=0)
    assert names == ("teff", "logg", "m_h")
    assert torch.all(z.abs() < 5)
