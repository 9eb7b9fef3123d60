"""An archive on this machine, a plan for it, and a fetch that never sleeps."""

import pytest

from starsmith.simulator.grids import fetch_grid, plan_fetch
from starsmith.simulator.grids.download.remote import Patience
from tests.reference import http_archive
from tests.simulator.fetch.world import BOX, text_body


@pytest.fixture
def archive():
    with http_archive.serve() as archive:
        yield archive


@pytest.fixture
def plan(archive):
    """Four files, all in the archive."""
    plan = plan_fetch("2017", BOX, 5000, "ascii", base_url=archive.url)
    archive.bodies = {file.name: text_body(file.name) for file in plan.files}
    return plan


@pytest.fixture
def fetch(plan, tmp_path):
    """Fetch the plan without ever sleeping; ``fetch.pauses`` collects the seconds."""
    usual = {"connections": 2, "patience": Patience(n_tries=4, timeout=5.0)}

    def run(plan=plan, **options):
        return fetch_grid(plan, run.out, **usual | {"sleep": run.pauses.append} | options)

    run.out = tmp_path / "bosz"
    run.pauses = []
    return run
