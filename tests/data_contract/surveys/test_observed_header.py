"""Headers of observed data sets that somebody changed: refused, never a traceback."""

import json

import pytest

from starsmith.data_contract.checks.summary import describe
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.ingest import Ingest, ingest_files
from starsmith.data_contract.surveys.scan import Source
from tests.data_contract.surveys import written

ODD = (None, 0, "x", [1], {"a": [None]}, [{"name": "a", "start": 7}], [{"name": 1, "start": 0}])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("observed")
    written.desi(folder / "coadd.fits")
    source = Source(files=(folder / "coadd.fits",), labels=())
    ingest_files(Ingest(source=source, shares=(1, 0, 0)), folder / "d.zarr")
    return folder / "d.zarr"


@pytest.mark.parametrize("name", ["arms", "frames", "label_sources", "steps", "has_error", "unit"])
def test_entries_of_another_kind_are_refused(data, name):
    run = json.loads((data / "run.json").read_text())
    for odd in ODD:
        if type(odd) is type(run["observed"][name]) and name == "unit":
            continue
        changed = {**run, "observed": {**run["observed"], name: odd}}
        (data / "run.json").write_text(json.dumps(changed))
        for look in (open_dataset, describe):
            with pytest.raises(DataError, match="header"):
                look(data)
    (data / "run.json").write_text(json.dumps(run))
