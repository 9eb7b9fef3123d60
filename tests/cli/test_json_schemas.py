"""What commands print with --json fits the schema that the package ships."""

import json
import os
from functools import reduce
from pathlib import Path

import pytest

from starsmith.cli import schemas
from starsmith.cli.shared.json_schema import (
    DRAFT,
    load_schema,
    merged,
    schema_names,
    schema_of,
    violations,
)
from tests.cli.conftest import call

WRITE = "STARSMITH_WRITE_SCHEMAS"  # set it to write the schemas anew
LINES = (
    "specsim spectrum --mag 20 --bank BANK",
    "specsim spectrum --index 3 --bank BANK",
    "specsim snr --mag 21",
    "specsim targets TARGETS --bank BANK --target-snr 3/pixel",
    "specsim targets TARGETS --bank BANK",
    "specsim example targets --overwrite --out TARGETS",
    "specsim bank --bank BANK --out copy.zarr",
    "specsim cache",
    "specsim generate -n 40 --workers 1 --bank BANK --out d.zarr",
    "specsim instrument list",
    "specsim instrument show pfs_mr",
    "specsim version",
    "specdata info DATA",
    "specdata verify DATA",
    "specfisher plan --target-sigma logg=2 --mag 18..19 --n-star 20 --bank BANK",
    "specfisher plan --target-sigma logg=2 --stars TARGETS --bank BANK",
    "specfisher info --star teff=4750,logg=2.5,m_h=-1 --bank BANK",
    "specfisher map --bank BANK",
    "speclearn models",
    "speclearn train DATA --model ridge --out ridge",
    "speclearn pretrain autoencoder DATA --epochs 1 --out latent",
    "speclearn evaluate ridge DATA",
    "speclearn info ridge",
    "speclearn predict ridge DATA --out predicted.ecsv",
)


@pytest.fixture(scope="module")
def documents(bank_file, dataset, tmp_path_factory):
    """Documents by the names of their schemas, of lines that take a toy a moment each."""
    found: dict[str, list] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("schemas"))
        call("specsim example targets --out targets.ecsv")
        names = {"BANK": bank_file, "DATA": dataset, "TARGETS": "targets.ecsv"}
        for line in LINES:
            for word, path in names.items():
                line = line.replace(word, str(path))
            done = call(f"{line} --json")
            assert done.exit_code == 0, f"{line}: {done.stderr}"
            document = json.loads(done.stdout)
            found.setdefault(document["schema"], []).append(document)
    return found


@pytest.mark.slow
def test_documents_fit_their_schemas(documents):
    if os.environ.get(WRITE):
        for name, some in documents.items():
            text = json.dumps(
                {"$schema": DRAFT, "title": name, **reduce(merged, map(schema_of, some))}, indent=1
            )
            (Path(schemas.__file__).parent / f"{name}.json").write_text(text + "\n")

    assert sorted(documents) == schema_names()
    for name, some in documents.items():
        for document in some:
            assert list(violations(document, load_schema(name))) == [], name


def test_a_document_that_lacks_an_entry_or_has_another_type_is_told():
    fits = schema_of({"a": 1, "rows": [{"b": "x"}, {"b": None}]})

    assert list(violations({"a": None, "rows": [], "more": 1}, fits)) == []
    assert set(violations({"a": "1", "rows": [{"c": 1}]}, fits)) == {
        "$.a is string, expected null or number",
        "$.rows[0].b is missing",
    }


def test_schemas_are_printed_and_a_slip_is_answered():
    assert "specsim.spectrum" in call("specsim schema").stdout.split()
    shown = json.loads(call("specsim schema specsim.spectrum").stdout)
    assert shown["$schema"] == DRAFT
    assert "snr" in shown["required"]
    slip = call("specsim schema specsim.spectrm")
    assert slip.exit_code == 2
    assert "did you mean specsim.spectrum?" in slip.stderr
