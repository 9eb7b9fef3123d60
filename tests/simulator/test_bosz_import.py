"""Importing an archive folder: what is kept, what is refused by name, and why."""

import bz2
import hashlib
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import read_grid
from starsmith.simulator.grids import StellarGrid, holes, import_bosz
from starsmith.simulator.grids.bosz.cropped import CROPPED, cropped_content
from starsmith.simulator.grids.bosz.releases import parse_archive_name
from tests.reference.bosz_archive import archive_wave, file_name, star, write_node

RANGE = (8480.0, 8690.0)
COOL = (4000, 4250, 4500)
GRAVITIES = (3.0, 3.5)


def add_box(folder, suffix=".asc.bz2", skip=(), **options):
    """Write Teff x log g nodes at solar metallicity, but those skipped."""
    return [
        write_node(folder, suffix, teff=teff, logg=logg, **options)
        for teff in COOL
        for logg in GRAVITIES
        if (teff, logg) not in skip
    ]


def reasons(report):
    return dict(report.refused)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "grid.zarr"


@pytest.mark.parametrize("suffix", [".asc.bz2", ".fits"])
def test_every_node_lands_at_its_labels(folder, out, suffix):
    """Flux in the grid = pi x the star written, node by node, in vacuum."""
    add_box(folder, suffix)
    report = import_bosz(folder, out, *RANGE)
    grid = StellarGrid.open(out)
    assert report.refused == ()
    assert report.holes == ()
    assert grid.valid.all()
    assert list(grid.axes) == ["teff", "logg", "m_h"]
    exact = archive_wave(5000, *RANGE)
    # float32 wavelengths over 292 samples leave the line 5e-5 Å uncertain
    np.testing.assert_allclose(grid.wave, exact, atol=2e-4)
    for i, teff in enumerate(COOL):
        for j, logg in enumerate(GRAVITIES):
            intensity, continuum = star(exact, teff, logg)
            # half of the fifth printed digit
            np.testing.assert_allclose(grid.flux[i, j, 0], np.pi * intensity, rtol=6e-5)
            np.testing.assert_allclose(grid.continuum[i, j, 0], np.pi * continuum, rtol=6e-5)


def test_holes_are_listed_and_flagged(folder, out):
    add_box(folder, skip=[(4250, 3.5)])
    report = import_bosz(folder, out, *RANGE)
    grid = read_grid(out)
    assert report.holes == ({"teff": 4250.0, "logg": 3.5, "m_h": 0.0},)
    assert holes(grid) == list(report.holes)
    assert not grid.valid[1, 1, 0]
    assert grid.valid.sum() == 5
    assert np.isnan(grid.flux[1, 1, 0]).all()
    assert np.isfinite(grid.flux[grid.valid]).all()


def test_abundance_ratios_become_axes_only_where_they_vary(folder, out):
    for a_m in (0.0, 0.25):
        write_node(folder, teff=4000, a_m=a_m, c_m=-0.5)
    report = import_bosz(folder, out, *RANGE)
    grid = read_grid(out)
    assert list(grid.axes) == ["teff", "logg", "m_h", "a_m"]
    assert grid.axes["a_m"].tolist() == [0.0, 0.25]
    assert report.provenance["fixed_labels"] == {"c_m": -0.5}


def test_a_single_node_is_a_library_of_one(folder, out):
    write_node(folder, teff=4000)
    import_bosz(folder, out, *RANGE)
    assert read_grid(out).flux.shape[:-1] == (1, 1, 1)


def test_real_node_in_both_formats_is_one_node(shared_data, out):
    report = import_bosz(shared_data / "bosz", out)
    stem = "amp00cp00op00t10000g40v20modrt0b200rs"
    assert report.imported == (f"{stem}.fits",)
    assert report.merged == ((f"{stem}.asc.bz2", f"{stem}.fits"),)
    assert "bosz2017_nodes_c0_a0.json" in report.ignored
    grid = read_grid(out)
    assert grid.resolution == 200.0
    assert {name: nodes.tolist() for name, nodes in grid.axes.items()} == {
        "teff": [10000.0],
        "logg": [4.0],
        "m_h": [0.0],
    }
    assert grid.provenance["medium"] == "vacuum, unverified"
    content = (shared_data / "bosz" / f"{stem}.fits").read_bytes()
    assert grid.provenance["files"] == {f"{stem}.fits": hashlib.sha256(content).hexdigest()}


def test_provenance_says_where_spectra_come_from(folder, out):
    add_box(folder)
    provenance = import_bosz(folder, out, *RANGE).provenance
    assert provenance["release"] == "BOSZ 2017"
    assert "10.17909/T95G68" in provenance["citation"]
    assert provenance["medium"] == "vacuum, seen from the Ca II triplet in 6 of 6 spectra"
    assert provenance["flux"] == "surface flux F, unverified"  # the range is not whole
    assert len(provenance["files"]) == 6
    assert read_grid(out).provenance == provenance


def negative(wave, intensity, continuum):
    return wave, np.where(wave < 8500, -intensity, intensity), continuum


def not_a_number(wave, intensity, continuum):
    return wave, np.where(wave < 8500, np.nan, intensity), continuum


def hole_in_continuum(wave, intensity, continuum):
    return wave, intensity, np.where(wave < 8500, np.inf, continuum)


@pytest.mark.parametrize("suffix", [".asc.bz2", ".fits"])
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ({"edit": negative}, "flux is -"),
        ({"edit": not_a_number}, "flux is nan"),
        ({"edit": hole_in_continuum}, "continuum is inf"),
        ({"medium": "air"}, "air wavelengths"),
        ({"wave_range": (8500.0, 8700.0)}, "starts at 8500"),
        ({"wave_range": (8450.0, 8600.0)}, "ends at 8599"),
    ],
)
def test_a_bad_spectrum_is_refused_by_name_and_leaves_a_hole(folder, out, suffix, spoil, complaint):
    good = add_box(folder, suffix, skip=[(4250, 3.5)])
    bad = write_node(folder, suffix, teff=4250, logg=3.5, **spoil)
    report = import_bosz(folder, out, *RANGE)
    assert list(reasons(report)) == [bad.name]
    assert complaint in reasons(report)[bad.name]
    assert sorted(report.imported) == sorted(path.name for path in good)
    assert report.holes == ({"teff": 4250.0, "logg": 3.5, "m_h": 0.0},)


def test_flux_outside_the_range_kept_is_not_judged(folder, out):
    write_node(folder, teff=4000, edit=not_a_number)
    assert import_bosz(folder, out, 8510.0, 8690.0).refused == ()


def test_a_refused_node_leaves_no_axis_value(folder, out):
    """Axes are the nodes that exist, not those that failed."""
    add_box(folder)
    write_node(folder, teff=6000, edit=negative)
    assert import_bosz(folder, out, *RANGE).axes["teff"].tolist() == list(COOL)


def test_truncated_archive_is_refused(folder, out):
    paths = add_box(folder)
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: len(content) // 2])
    report = import_bosz(folder, out, *RANGE)
    assert list(reasons(report)) == [paths[0].name]
    assert "end-of-stream" in reasons(report)[paths[0].name]


def test_text_lost_inside_a_whole_archive_is_refused_even_if_read_first(folder, out):
    """The commonest wavelengths win, whatever the order of reading."""
    paths = add_box(folder)
    lines = bz2.decompress(paths[0].read_bytes()).splitlines(keepends=True)
    paths[0].write_bytes(bz2.compress(b"".join(lines[:-50])))
    report = import_bosz(folder, out)
    assert list(reasons(report)) == [paths[0].name]
    assert "most files" in reasons(report)[paths[0].name]
    assert len(report.imported) == 5


def test_wrong_names_are_refused_and_other_files_ignored(folder, out):
    add_box(folder)
    (folder / "notes.txt").write_text("downloaded in spring")
    (folder / "sun.fits").write_bytes(b"")
    old = file_name(".fits", 5000, 4000).replace("v20", "v40")
    (folder / old).write_bytes(b"")
    report = import_bosz(folder, out, *RANGE)
    assert set(reasons(report)) == {"sun.fits", old}
    assert report.ignored == ("notes.txt",)
    assert len(report.imported) == 6


def test_the_commonest_resolution_is_taken(folder, out):
    add_box(folder)
    other = write_node(folder, resolution=10000, teff=5000)
    report = import_bosz(folder, out, *RANGE)
    assert list(reasons(report)) == [other.name]
    assert "R = 10000" in reasons(report)[other.name]
    assert read_grid(out).resolution == 5000.0


def test_a_resolution_can_be_asked_for(folder, out):
    add_box(folder)
    write_node(folder, resolution=10000, teff=5000)
    report = import_bosz(folder, out, *RANGE, resolution=10000)
    assert len(report.imported) == 1
    assert len(report.refused) == 6
    assert read_grid(out).resolution == 10000.0


def test_samples_of_another_resolution_than_named_are_refused(folder, out):
    add_box(folder)
    path = write_node(folder, resolution=10000, teff=5000)
    renamed = path.rename(folder / path.name.replace("b10000", "b5000"))
    assert "for R = 5000" in reasons(import_bosz(folder, out, *RANGE))[renamed.name]


def test_copies_of_a_node_that_agree_are_kept_once(folder, out):
    add_box(folder)
    add_box(folder, ".fits", skip=[(4500, 3.5)])
    report = import_bosz(folder, out, *RANGE)
    assert len(report.imported) == 6
    assert report.refused == ()
    assert len(report.merged) == 5
    for left_out, kept in report.merged:  # tables hold more digits than text
        assert left_out.endswith(".asc.bz2")
        assert kept.endswith(".fits")


def test_copies_of_a_node_that_disagree_are_both_refused(folder, out):
    """Nobody can tell which is right: one part in a thousand is beyond printed digits."""

    def brighter(wave, intensity, continuum):
        return wave, 1.001 * intensity, continuum

    add_box(folder)
    rivals = [
        write_node(folder, ".fits", teff=4000, logg=3.0, edit=brighter),
        write_node(folder / "again", ".fits", teff=4000, logg=3.0),
    ]
    report = import_bosz(folder, out, *RANGE)
    names = {path.relative_to(folder).as_posix() for path in rivals}
    names.add(rivals[0].name.replace(".fits", ".asc.bz2"))
    assert set(reasons(report)) == names
    assert report.holes == ({"teff": 4000.0, "logg": 3.0, "m_h": 0.0},)


def test_nothing_to_import_says_why(folder, out):
    write_node(folder, teff=4000, edit=negative)
    with pytest.raises(GridError, match="flux is -"):
        import_bosz(folder, out, *RANGE)
    assert list(out.parent.iterdir()) == [folder]  # nothing half-made is left behind


def test_a_folder_that_is_not_there_is_refused(tmp_path, out):
    with pytest.raises(GridError, match="not a folder"):
        import_bosz(tmp_path / "nowhere", out)


def test_an_empty_range_is_refused(folder, out):
    write_node(folder, teff=4000)
    with pytest.raises(GridError, match="not below"):
        import_bosz(folder, out, 8600.0, 8500.0)


def test_spectra_that_a_killed_import_left_are_swept_even_where_its_grid_is_whole(folder, out):
    """Killed after the grid took its place: the same command is refused, and cleans up."""
    add_box(folder)
    import_bosz(folder, out)
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from starsmith.data_contract.files.atomic import partial_name\n"
        "partial_name(Path(sys.argv[1])).mkdir()\n"
        "os._exit(9)"
    )
    killed = [sys.executable, "-c", program, str(out.with_name(f"{out.name}.spectra"))]
    subprocess.run(killed, check=False)
    assert len(list(out.parent.glob(".*.partial"))) == 1
    with pytest.raises(GridError, match="exists"):
        import_bosz(folder, out)
    assert not list(out.parent.glob(".*"))


def test_an_existing_grid_is_replaced_only_on_request(folder, out):
    add_box(folder)
    import_bosz(folder, out, *RANGE)
    with pytest.raises(GridError, match="--overwrite"):
        import_bosz(folder, out, 8500.0, 8600.0)
    import_bosz(folder, out, 8500.0, 8600.0, overwrite=True)
    assert read_grid(out).wave[-1] < 8600.0


def test_a_folder_that_is_no_grid_is_never_replaced(folder, tmp_path):
    write_node(folder, teff=4000)
    precious = tmp_path / "results"
    precious.mkdir()
    with pytest.raises(GridError, match="no grid file"):
        import_bosz(folder, precious, overwrite=True)
    assert precious.is_dir()


def test_workers_change_nothing(folder, tmp_path):
    add_box(folder)
    write_node(folder, teff=5000, edit=negative)
    seen = []
    alone = import_bosz(
        folder, tmp_path / "1.zarr", *RANGE, progress=lambda *count: seen.append(count)
    )
    together = import_bosz(folder, tmp_path / "2.zarr", *RANGE, workers=2)
    assert (alone.imported, alone.refused) == (together.imported, together.refused)
    ones, twos = read_grid(alone.path), read_grid(together.path)
    np.testing.assert_array_equal(ones.flux, twos.flux)
    assert seen == [(done, 7) for done in range(1, 8)]


def test_memory_does_not_grow_with_the_number_of_nodes(tmp_path):
    """Spectra wait on disk: 12 nodes more cost less than 2 spectra more at the peak."""

    def peak(n_gravity):
        folder = tmp_path / f"{n_gravity}"
        for half_dex in range(n_gravity):
            for teff in (4000, 4250):
                write_node(
                    folder, ".fits", teff=teff, logg=half_dex / 2, wave_range=(3000.0, 30000.0)
                )
        tracemalloc.start()
        import_bosz(folder, tmp_path / f"{n_gravity}.zarr", 4000.0, 20000.0)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)  # first use of the libraries
    spectrum_bytes = 8 * archive_wave(5000, 4000.0, 20000.0).size
    assert peak(8) - peak(2) < 2 * spectrum_bytes


def _other_arrays(path):
    np.savez(path, flux=np.ones(9))


def _endless_wave(path):
    with np.load(path) as held:
        arrays = dict(held)
    arrays["line"] = np.array([9.0, 1e3])
    np.savez(path, **arrays)


def _of_objects(path):
    np.savez(path, flux=np.array([{}], dtype=object))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b"PK\3\4" + bytes(900)),
        _other_arrays,
        _endless_wave,
        _of_objects,
    ],
)
def test_a_spoiled_cropped_file_is_refused_by_name(folder, out, spoil):
    """Cut, empty, with other arrays or wavelengths of no archive: named, the others imported."""
    names = [path.name for path in add_box(folder)]
    for name in names[:2]:
        content = (folder / name).read_bytes()
        parsed = parse_archive_name(name)
        cropped = cropped_content(content, name, parsed, *RANGE)
        (folder / name).unlink()
        (folder / f"{name}{CROPPED}").write_bytes(cropped)
    spoil(folder / f"{names[0]}{CROPPED}")
    report = import_bosz(folder, out, *RANGE)
    assert [file for file, _ in report.refused] == [f"{names[0]}{CROPPED}"]
    assert "\n" not in report.refused[0][1]
    assert len(report.imported) == len(names) - 1
