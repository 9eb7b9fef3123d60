"""A bank and a data set of toy stars as files, and a way to call the commands."""

import fcntl
import json
import os
import signal
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from starsmith.cli import schemas
from starsmith.cli.shared.json_schema import DRAFT, load_schema, merged, schema_of, violations

WRITE_SCHEMAS = "STARSMITH_WRITE_SCHEMAS"  # set it to widen the schemas
TOOLS = ("specsim", "speclearn", "specfisher", "specdata")


def call(line, *more):
    """Run a command line such as ``specsim generate -n 10``; more words follow as they are."""
    tool, *words = line.split()
    main = import_module(f"starsmith.cli.{tool}").main
    done = CliRunner().invoke(main, [*words, *map(str, more)])
    if done.exit_code == 0 and done.stdout.startswith('{\n  "schema"'):
        hold_to_schema(json.loads(done.stdout))
    return done


def hold_to_schema(document):
    """Whatever any test has printed with --json fits the schema that the package ships."""
    name = document["schema"]
    if os.environ.get(WRITE_SCHEMAS):
        file = Path(schemas.__file__).parent / f"{name}.json"
        with (file.parent / "__init__.py").open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # workers of pytest write in turn
            known = [load_schema(name)] if file.exists() else []
            found = {"$schema": DRAFT, "title": name} | reduce(
                merged, [*known, schema_of(document)]
            )
            file.write_text(json.dumps(found, indent=1) + "\n")
    assert list(violations(document, load_schema(name))) == [], name


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C interrupts, also in the background of a shell, where it would be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def bank_file(toy_bank, tmp_path_factory):
    """The toy bank as a file."""
    path = tmp_path_factory.mktemp("bank") / "toy.zarr"
    toy_bank.save(path)
    return path


@pytest.fixture(scope="session")
def dataset(bank_file, tmp_path_factory):
    """400 training, 50 validation and 50 test spectra made by the command itself."""
    path = tmp_path_factory.mktemp("data") / "data.zarr"
    done = call("specsim generate -n 500 --seed 7 --workers 1", "--bank", bank_file, "--out", path)
    assert done.exit_code == 0, done.stderr
    return path
