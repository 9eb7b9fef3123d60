"""``specfisher ceiling --domain``: the best R² in a survey of the laboratory."""

import json

import pytest
from astropy.table import Table

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.domains.request import DomainRequest
from tests.cli.conftest import call
from tests.learners.test_lab import write_toy_grid
from tests.simulator.test_domains import SURVEY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A toy grid, a toy survey, and a domain with errors of its pipeline's labels."""
    place = tmp_path_factory.mktemp("domain")
    write_toy_grid(place / "a.zarr")
    (place / "toy.toml").write_text(SURVEY)
    lines = ('survey = "toy.toml"', 'grid = "a.zarr"', "flux_calibration = 0.02")
    offset = "label_offset = [0.0, 0.0, 0.5]"
    (place / "domain.toml").write_text("\n".join((*lines, offset)) + "\n")
    return place


def test_ceilings_of_a_domain_file(folder, tmp_path):
    """On true labels, with the continuum free below it, and lower against offset labels."""
    words = ("--domain", folder / "domain.toml", "--n-star", 30, "--json")
    done = call("specfisher ceiling", *words, "--out", tmp_path / "c.ecsv")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["schema"] == "specfisher.domain_ceiling"
    assert found["domain"]["knobs"]["flux_calibration"] == 0.02
    rows = {(r["label"], r["group"]): r for r in found["rows"]}
    m_h = rows["m_h", "all"]
    assert m_h["n"] == 30
    assert abs(m_h["R2"] - m_h["expected"]) < 4 * m_h["R2_error"]
    assert m_h["continuum_free"] < m_h["R2"] + 2 * m_h["R2_error"]
    assert m_h["pipeline_labels"] < m_h["R2"] - 0.2  # 0.5 dex against a spread of 0.7
    assert rows["teff", "all"]["pipeline_labels"] == pytest.approx(rows["teff", "all"]["R2"])
    assert len(Table.read(tmp_path / "c.ecsv")) == len(found["rows"])


def test_words_that_do_not_go_with_a_domain(folder):
    for words, told in (
        (("--domain", "desi", "--mag", "21"), "goes without --mag"),
        (("--domain", "desi,colour=3"), "unknown keys"),
        (("--domain", "desi,g"), "is no knob"),
        (("--domain", "desi,g=far"), "expected like 0.0"),
        (("--domain", "hubble"), "choose one of"),
        (("--domain", folder / "toy.toml,g=0.5", "--grid", folder / "a.zarr"), "second grid"),
    ):
        done = call("specfisher ceiling", *words)
        assert done.exit_code == 2, (words, done.output)
        assert told in done.stderr


def test_a_survey_file_is_a_domain_without_knobs(folder):
    asked = DomainRequest.of_text(f"{folder / 'toy.toml'},lsf=1.2")
    assert asked.survey == str(folder / "toy.toml")
    assert asked.knobs.lsf == 1.2
    with pytest.raises(ConfigError, match="list of numbers"):
        DomainRequest.of_text("desi,label_offset=0.1")
