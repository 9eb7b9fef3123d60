"""What commands print with --json fits the schema that the package ships."""

import json
import re
from pathlib import Path

import pytest

from starsmith.cli import schemas
from starsmith.cli.shared.json_schema import (
    DRAFT,
    schema_names,
    schema_of,
    violations,
)
from tests.cli.conftest import call

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
    "specdata check-leakage DATA d.zarr",
    "specdata select --recipe specvit_desi stars.csv --out s.csv",
    "specdata crossmatch stars.csv stars.csv --out p.ecsv",
    "specdata compile-labels stars.csv stars.csv --out l.ecsv",
    "specsim export DATA --rows 0:2 --out pfs",
    "speclearn train DATA --model mlp --epochs 1 --out mlp",
    "speclearn finetune mlp d.zarr --strategy full --epochs 1 --lr 1e-3 --out full",
    "speclearn merge full --out merged",
    "speclearn embed mlp DATA --out emb.zarr",
    "speclearn similar mlp DATA --row 1",
)
ELSEWHERE = {  # printed where a test wants an archive, a hub, a user's shell or its own runner
    "specdata.fetch",
    "speclearn.bench.lab.flags",
    "speclearn.bench.tasks",
    "speclearn.chain",
    "speclearn.hub.pull",
    "speclearn.hub.push",
    "speclearn.import.specclip",
    "specsim.grid.import",
    "starsmith.completion",
}


@pytest.mark.slow
def test_documents_of_a_first_tour_fit_their_schemas(bank_file, dataset, tmp_path, monkeypatch):
    """As documents of every other test do: `call` holds them to the schema that is shipped."""
    monkeypatch.chdir(tmp_path)
    call("specsim example targets --out targets.ecsv")
    Path("stars.csv").write_text("targetid,teff,logg,feh\n7,5000,2.5,-1\n8,5100,2.6,-1\n")
    names = {"BANK": bank_file, "DATA": dataset, "TARGETS": "targets.ecsv"}
    for line in LINES:
        for word, path in names.items():
            line = line.replace(word, str(path))
        done = call(f"{line} --json")
        assert done.exit_code == 0, f"{line}: {done.stderr}"
        assert json.loads(done.stdout)["schema"] in schema_names()


def test_every_document_that_is_printed_has_a_schema():
    """By the names that commands print them under."""
    folder = Path(schemas.__file__).parents[1]
    text = "".join(file.read_text() for file in folder.rglob("*.py"))
    printed = set(re.findall(r'(?:echo_json|finish)\(\s*f?"([a-z]+\.[a-z_.-]+)"', text))
    assert len(printed) > 50
    assert sorted(printed - {*schema_names()} - ELSEWHERE) == []


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
