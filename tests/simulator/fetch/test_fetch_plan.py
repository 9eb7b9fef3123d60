"""What is planned before anything is asked for."""

import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.grids import plan_fetch
from starsmith.simulator.grids.bosz.names2017 import NodeLabels, parse_bosz2017
from starsmith.simulator.grids.bosz.release2024 import (
    ATMOSPHERES,
    bosz2024_atmosphere,
    bosz2024_nodes,
    bosz2024_url,
    parse_bosz2024,
)
from tests.simulator.fetch.world import BOX

# What is planned


def test_plan_lists_the_box_asked_for():
    plan = plan_fetch("2017", {"teff": (5000, 5250), "logg": (4, 5), "m_h": (-0.25, 0.0)}, 5000)
    assert len(plan.files) == 2 * 3 * 2
    assert all(file.path.startswith("fits/insbroad_005000/metal_") for file in plan.files)
    assert all(file.path.endswith(f"/{file.name}") for file in plan.files)
    assert [parse_bosz2017(file.name).labels for file in plan.files] == [
        file.labels for file in plan.files
    ]
    assert {file.labels.a_m for file in plan.files} == {0.0}


def test_models_known_never_to_exist_are_not_asked_for():
    """At 3500 K and [M/H] <= -2 the 2017 listing lacks 10 of 33 models."""
    plan = plan_fetch("2017", {"teff": (3500, 3500), "m_h": (-2.5, -2.0)}, 5000)
    assert (len(plan.files), len(plan.never_computed)) == (23, 10)
    enriched = {"teff": (3500, 3500), "m_h": (-2.5, -2.0), "a_m": (0.25, 0.25)}
    assert len(plan_fetch("2017", enriched, 5000).files) == 33  # nobody has listed these


def test_2024_lays_out_as_many_models_as_the_archive_lists():
    """492 listed at solar metallicity, of which 21 are ATLAS9 doubles at 7500-8000 K."""
    composition = [n for n in bosz2024_nodes() if n.m_h == n.a_m == n.c_m == 0.0]
    assert len(composition) == len(set(composition)) == 492 - 21


@pytest.mark.parametrize(
    ("teff", "logg", "letters"),
    [(4000, 3.0, "ms"), (4000, 3.5, "mp"), (7750, 4.0, "mp"), (8000, 2.0, "ms"), (8250, 4.0, "ap")],
)
def test_2024_models_are_spherical_at_low_gravity_and_atlas_when_hot(teff, logg, letters):
    assert bosz2024_atmosphere(NodeLabels(teff, logg, 0.0)) == ATMOSPHERES[letters]


def test_2024_plan_names_files_as_the_archive_does():
    plan = plan_fetch("2024", {"teff": (3500, 8250), "logg": (3, 3.5), "m_h": (0, 0.25)}, 20000)
    for file in plan.files:
        name = parse_bosz2024(file.name)
        assert (name.labels, name.microturbulence) == (file.labels, 2.0)
        assert f"{plan.base_url}/{file.path}".replace("+", "%2B") == bosz2024_url(name)


def test_planned_sizes_are_near_a_real_file(shared_data):
    """Compressed text is planned to a quarter of the size of the genuine R = 200 file."""
    name = "amp00cp00op00t10000g40v20modrt0b200rs.asc.bz2"
    box = {"teff": (10000, 10000), "logg": (4, 4), "m_h": (0, 0)}
    (file,) = plan_fetch("2017", box, 200, "ascii").files
    assert file.name == name
    assert file.n_bytes == pytest.approx((shared_data / "bosz" / name).stat().st_size, rel=0.25)


@pytest.mark.parametrize(
    "wrong",
    [
        {"release": "2015"},
        {"ranges": {"feh": (0, 0)}},
        {"ranges": {"teff": (5001, 5002)}},
        {"resolution": 5001},
        {"file_format": "csv"},
        {"microturbulence": 4.0},
        {"base_url": "ftp://archive.stsci.edu/bosz"},
        {"base_url": "https://user:secret@archive.stsci.edu/bosz"},
        {"base_url": "https://archive.stsci.edu/bosz?x=1"},
        {"base_url": "archive.stsci.edu"},
    ],
)
def test_plans_that_cannot_be_are_refused(wrong):
    good = {"release": "2017", "ranges": BOX, "resolution": 5000}
    with pytest.raises(ConfigError):
        plan_fetch(**good | wrong)
