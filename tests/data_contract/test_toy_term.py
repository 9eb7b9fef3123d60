"""A noise term of one file: the list of terms is all that the rest of the code knows of it."""

from dataclasses import make_dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from starsmith.cli.shared.survey_options import noise_options
from starsmith.data_contract import random
from starsmith.data_contract.noise import model as noise_model
from starsmith.data_contract.noise import terms
from starsmith.data_contract.noise.budget import noise_budget
from starsmith.data_contract.noise.covariance import covariance_of
from starsmith.data_contract.noise.view import observe_spectra
from starsmith.data_contract.random import DrawKey
from tests.data_contract.example import draw, model_flux

TOY = terms.Term(
    switches=(terms.Switch(name="toy_tilt", largest=0.5, meaning="Rms tilt of the spectrum."),),
    stream="toy",
    row=("tilt", "0", "`toy`", "1"),
    budget="toy",
    curve="tilt",
    shapes=lambda tables, size: size * np.linspace(-1.0, 1.0, tables.wave.size)[None],
)


@pytest.fixture
def tilted(monkeypatch):
    """The noise model with the toy term in the list."""
    monkeypatch.setattr(terms, "TERMS", (*terms.TERMS, TOY))
    monkeypatch.setitem(random.STREAMS, "toy", 200)
    known = noise_model.NoiseModel
    entries = [(switch.name, float, switch.default) for switch in TOY.switches]
    longer = make_dataclass("Longer", entries, bases=(known,), frozen=True, kw_only=True)
    monkeypatch.setattr(noise_model, "NoiseModel", longer)
    return longer


def test_it_is_an_option_and_is_recorded(tilted):
    """The command offers it, checks it, and hands it over."""

    @click.command()
    @noise_options
    def command(noise):
        click.echo(noise.recorded())

    run = CliRunner().invoke
    assert run(command, ["--toy-tilt", "0.1"]).output == "{'toy_tilt': 0.1}\n"
    assert "Rms tilt of the spectrum." in run(command, ["--help"]).output
    assert "--toy-tilt 2 is outside 0..0.5" in str(run(command, ["--toy-tilt", "2"]).exception)
    assert tilted.from_recorded({"toy_tilt": 0.1}) == tilted(toy_tilt=0.1)


def test_it_is_drawn_with_the_variance_that_budget_and_covariance_state(tilted, noise):
    """Mean square of 2,000 draws at the ends, where it rules: 5 standard errors, 5 √(2/2000)."""
    drawn = draw(0, "train", np.arange(1))
    n = 2000
    flux = np.repeat(100.0 * model_flux(drawn, noise.wave), n, axis=0).astype(np.float32)
    conditions, key = np.repeat(drawn.conditions, n, axis=0), DrawKey(0, "train", np.arange(n))
    model = tilted(toy_tilt=0.3)
    observed, _, sigma = observe_spectra(noise, flux, conditions, key, model=model)
    measured = np.square(observed.astype(float) - flux).mean(axis=0)
    budget = noise_budget(noise, flux[:1], conditions[:1], model)
    stated = sum(np.square(part) for part in budget.sigma().values())[0]
    np.testing.assert_allclose(np.square(sigma[0].astype(float)), stated, rtol=1e-5)
    np.testing.assert_allclose(measured, stated, rtol=5 * np.sqrt(2 / n))
    assert budget.fractions()["toy"][0, 0] > 0.5
    variance, shared = covariance_of(noise, model, flux[:1], conditions[:1])
    assert shared.shape[1] == 1
    np.testing.assert_allclose(variance + np.square(shared).sum(axis=1), stated[None], rtol=1e-6)


def test_the_documented_table_is_that_of_the_list():
    """Every term has its line, in the order of the options."""
    text = (Path(__file__).parents[2] / "docs" / "physics_noise.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`--" in line]
    assert rows == [term.documented() for term in terms.TERMS]


def test_every_term_has_a_stream():
    """Named in the one table of streams; none is shared."""
    streams = [term.stream for term in terms.TERMS]
    assert set(streams) <= set(random.STREAMS)
    assert len(set(streams)) == len(streams)
