"""The face: what ``import starsmith`` offers, what it costs, and that its examples run."""

import doctest
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import starsmith
from starsmith.data_contract.grid.grid_file import GridData
from tests.conftest import star_flux

PACKAGES = {"cli", "data_contract", "fisher", "learners", "simulator"}
NAMES = sorted(set(starsmith.__all__) - PACKAGES)
ROOT = Path(__file__).resolve().parents[2]
SKETCH = {"wave_nodes": 9_000, "resolution": 12_500.0}


def demo_sized_grid():
    """Toy stars on the demo grid's axes and wavelengths: its examples, without its synthesis."""
    axes = {
        "teff": np.linspace(3750.0, 6000.0, 4),
        "logg": np.linspace(1.0, 5.0, 4),
        "m_h": np.linspace(-2.5, 0.75, 4),
    }
    wave = 6350.0 * np.exp(np.arange(SKETCH["wave_nodes"]) / 25_000)
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    flux = np.stack([star_flux(*node, wave) for node in zip(*map(np.ravel, mesh), strict=True)])
    return GridData(
        name="toy",
        axes=axes,
        wave=wave,
        flux=flux.reshape(*mesh[0].shape, -1).astype(np.float32),
        resolution=SKETCH["resolution"],
        valid=np.ones(mesh[0].shape, dtype=bool),
    )


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the example of the face leaves behind, in a folder of its own."""
    grid = demo_sized_grid()
    pfs = starsmith.load_instrument("pfs_mr")
    # two of the toy's lines: a ridge takes the cube of the number of pixels
    arm = replace(pfs.arm, wave_min_nm=800.0, n_pixel=pfs.arm.n_pixel * 85 // 175)
    bank = starsmith.render_bank(grid, replace(pfs, arms=(arm,)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("face"))
        patch.setattr(starsmith.StellarGrid, "open", staticmethod(lambda source: grid))
        patch.setattr(starsmith, "cached_bank", lambda *given: bank, raising=False)
        found = {"starsmith": starsmith, "np": np}
        run_examples(starsmith.__doc__, "starsmith", found)
        yield found


def run_examples(text, name, names):
    """Run the examples of a docstring; returns how many there were."""
    test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failed = runner.run(test, out=report.append, clear_globs=False).failed
    names.update(test.globs)
    assert not failed, "".join(report)
    return len(test.examples)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_an_example_that_runs(name, names):
    """A docstring's example is a test; it goes on from the names of the face's own."""
    text = inspect.getdoc(starsmith.__dict__.get(name) or getattr(starsmith, name))
    if name == "cached_bank":
        text = inspect.getdoc(starsmith.simulator.cached_bank)
    assert run_examples(inspect.cleandoc(text), name, dict(names)) > 0


def test_importing_is_free():
    """Neither numba, torch nor astropy is loaded before a name is used."""
    script = (
        "import sys, json, starsmith; starsmith.__version__; print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    heavy = {"numba", "torch", "astropy", "numpy", "zarr", "matplotlib"}
    assert not heavy & set(json.loads(done.stdout))


def test_the_face_is_found_from_the_root_of_the_checkout():
    """The folders beside it do not stand in its way."""
    script = "import starsmith; print(starsmith.observe.__module__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=ROOT, text=True)
    assert done.stdout.strip() == "starsmith.simulator.observe", done.stderr


def test_the_list_of_names_is_what_dir_shows():
    """About thirty names and the packages; a wrong one is an AttributeError."""
    assert 15 <= len(NAMES) <= 40
    assert set(starsmith.__all__) <= set(dir(starsmith))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = starsmith.no_such_name


@pytest.mark.parametrize("name", ["bank", "data", "scores", "table", "prior"])
def test_objects_say_what_they_are(name, names):
    """One line in a terminal, a table in a notebook, both with the facts a reader wants."""
    thing = names[name]
    line, page = repr(thing), thing._repr_html_()
    assert line.startswith(f"<{type(thing).__name__}: ")
    assert "\n" not in line
    assert len(line) < 400
    for fact, value in thing._facts().items():
        if value != "":
            assert str(fact) in line
            assert f">{fact}<" in page
