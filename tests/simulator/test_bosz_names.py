"""BOSZ 2017 names and addresses: every node's name gives its labels back."""

import json

import pytest

from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.bosz.names2017 import (
    RESOLUTIONS,
    NodeLabels,
    bosz2017_missing,
    bosz2017_name,
    bosz2017_nodes,
    bosz2017_url,
    fits_bytes,
    parse_bosz2017,
)
from tests.reference.bosz_archive import file_name

MEASURED_HOLES = 14  # nodes at solar C and alpha that the release never computed


@pytest.fixture(scope="module")
def legal_nodes():
    return list(bosz2017_nodes())


@pytest.fixture(scope="module")
def listed_nodes(shared_data):
    """(teff, logg, metallicity digits) of the archive's own listing at solar C and alpha."""
    listing = json.loads((shared_data / "bosz" / "bosz2017_nodes_c0_a0.json").read_text())
    nodes = [
        (int(teff), logg, digits)
        for digits, by_teff in listing["nodes"].items()
        for teff, gravities in by_teff.items()
        for logg in gravities
    ]
    assert len(nodes) == listing["n_files"]
    return nodes


@pytest.mark.parametrize("suffix", [".fits", ".asc.bz2"])
def test_every_node_keeps_its_labels_through_its_name(legal_nodes, suffix):
    """Name -> labels is the inverse of labels -> name, and no two nodes share a name."""
    names = [bosz2017_name(labels, 50000, suffix) for labels in legal_nodes]
    assert [parse_bosz2017(name).labels for name in names] == legal_nodes
    assert len(set(names)) == len(names)


def test_names_are_spelled_by_decimal_rounding(legal_nodes):
    """Digits are |value| x 10 rounded half up, done here in decimal arithmetic."""
    for labels in legal_nodes[::37]:
        assert bosz2017_name(labels, 5000) == file_name(".fits", 5000, *labels)


@pytest.mark.parametrize(
    ("m_h", "digits"),
    [(0.25, "mp03"), (0.75, "mp08"), (-1.25, "mm13"), (-2.25, "mm23"), (0.0, "mp00")],
)
def test_half_tenths_round_up(m_h, digits):
    """Python's round() would spell 0.25 as 02."""
    assert bosz2017_name(NodeLabels(5000, 4.5, m_h), 200).startswith(f"a{digits}c")


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_resolution_is_read_from_the_name(resolution):
    labels = NodeLabels(12500.0, 3.5, -0.75, 0.5, -0.25)
    parsed = parse_bosz2017(bosz2017_name(labels, resolution))
    assert (parsed.labels, parsed.resolution) == (labels, resolution)


@pytest.mark.parametrize(
    "name",
    [
        "star.fits",
        "amp00cp00op00t5000g45v20modrt0b5000rs.txt",
        "amp02cp00op00t5000g45v20modrt0b5000rs.fits",  # 0.2 is no abundance of the release
        "amm00cp00op00t5000g45v20modrt0b5000rs.fits",  # minus zero
        "amp00cp08op00t5000g45v20modrt0b5000rs.fits",  # carbon ends at +0.50
        "amp00cp00op00t5000g45v40modrt0b5000rs.fits",  # 4 km/s
        "amp00cp00op00t5000g45v20modrt0b4000rs.fits",  # no such resolution
        "bosz2024_mp_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v2_r5000_resam.txt.gz",
        "x-amp00cp00op00t5000g45v20modrt0b5000rs.fits",
    ],
)
def test_names_the_release_cannot_have_are_refused(name):
    with pytest.raises(GridError):
        parse_bosz2017(name)


def test_names_cover_the_archives_own_listing(listed_nodes):
    """All 5,901 listed files round-trip; the layout adds only the nodes known to be missing."""
    listed = {
        f"am{digits}cp00op00t{teff}g{round(10 * logg):02d}v20modrt0b20000rs.fits"
        for teff, logg, digits in listed_nodes
    }
    for name in listed:
        assert bosz2017_name(parse_bosz2017(name).labels, 20000) == name
    laid_out = {
        bosz2017_name(labels, 20000): labels
        for labels in bosz2017_nodes()
        if labels.a_m == labels.c_m == 0.0 and labels.m_h <= 0.5  # the listing ends at +0.50
    }
    missing = {name for name, labels in laid_out.items() if bosz2017_missing(labels)}
    assert set(laid_out) - missing == listed
    assert len(missing) == MEASURED_HOLES


def test_addresses_follow_the_archives_folders():
    labels = NodeLabels(5750, 4.5, -1.25, 0.25, -0.5)
    root = "https://archive.stsci.edu/missions/hlsp/bosz"
    folders = "insbroad_050000/metal_-1.25/carbon_-0.50/alpha_+0.25"
    name = "amm13cm05op03t5750g45v20modrt0b50000rs"
    assert bosz2017_url(labels, 50000) == f"{root}/fits/{folders}/{name}.fits"
    assert bosz2017_url(labels, 50000, "ascii") == f"{root}/ascii/{folders}/{name}.asc.bz2"


def test_negative_zero_is_spelled_as_zero():
    assert bosz2017_url(NodeLabels(5000, 4.5, -0.0), 200) == bosz2017_url(
        NodeLabels(5000, 4.5, 0.0), 200
    )


@pytest.mark.parametrize(("resolution", "megabytes"), [(5000, 0.93), (20000, 3.70), (50000, 9.24)])
def test_sizes_match_the_archives(resolution, megabytes):
    """Sizes listed by the archive, to their printed digits."""
    assert fits_bytes(resolution) / 1e6 == pytest.approx(megabytes, abs=0.005)


def test_size_matches_a_real_file(shared_data):
    path = shared_data / "bosz" / "amp00cp00op00t10000g40v20modrt0b200rs.fits"
    assert fits_bytes(200) == path.stat().st_size
