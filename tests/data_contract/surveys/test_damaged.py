"""Damaged files of every survey: one line that names the file, nothing else."""

import gzip
import random

import numpy as np
import pytest
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys import outside_file
from starsmith.data_contract.surveys.ingest import Ingest, ingest_files
from starsmith.data_contract.surveys.scan import Source
from tests.data_contract.surveys.written import WRITERS


def cut_in_half(content):
    return content[: len(content) // 2]


def cut_to_its_head(content):
    return content[:100]


def shuffled(content):
    blocks = [content[k : k + 512] for k in range(0, len(content), 512)]
    random.Random(0).shuffle(blocks)
    return b"".join(blocks)


def zeroed_end(content):
    return content[:64] + bytes(len(content) - 64)


def packed_and_cut(content):
    return gzip.compress(content)[:-20]


def empty(content):
    return b""


BYTES = (cut_in_half, cut_to_its_head, shuffled, zeroed_end, packed_and_cut, empty)


def ingest(path):
    return ingest_files(Ingest(source=Source(files=(path,), labels=())), path.parent / "d.zarr")


CASES = [(n, d) for n in WRITERS for d in BYTES if n != "star.csv" or d is empty]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_damaged_bytes_are_one_line(tmp_path, name, damage):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        ingest(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "d.zarr").exists()


def nan_wave(hdus):
    hdus["B_WAVELENGTH"].data[3] = np.nan


def falling_wave(hdus):
    hdus["R_WAVELENGTH"].data = hdus["R_WAVELENGTH"].data[::-1].copy()


def no_flux(hdus):
    hdus.pop(hdus.index_of("Z_FLUX"))


def no_rows(hdus):
    hdus["FIBERMAP"].data = hdus["FIBERMAP"].data[:0]


def other_shape(hdus):
    hdus["B_IVAR"].data = hdus["B_IVAR"].data[:, :5]


def other_rank(hdus):
    hdus["B_FLUX"].data = hdus["B_FLUX"].data[0]


def no_errors(hdus):
    for arm in "BRZ":
        hdus[f"{arm}_IVAR"].data[:] = 0


def all_flagged(hdus):
    for arm in "BRZ":
        hdus[f"{arm}_MASK"].data[:] = 2


def text_for_numbers(hdus):
    column = fits.Column("TARGETID", "3A", array=["a", "b", "c"])
    hdus["FIBERMAP"] = fits.BinTableHDU.from_columns([column], name="FIBERMAP")


CONTENTS = (
    *(nan_wave, falling_wave, no_flux, no_rows, other_shape, other_rank),
    *(no_errors, all_flagged, text_for_numbers),
)


@pytest.mark.parametrize("damage", CONTENTS)
def test_contents_that_cannot_be_are_one_line(tmp_path, damage):
    path = tmp_path / "coadd.fits"
    WRITERS["coadd.fits"](path)
    with fits.open(path) as hdus:
        damage(hdus)
        hdus.writeto(tmp_path / "bad.fits")
    with pytest.raises(DataError, match=r"bad\.fits") as caught:
        ingest(tmp_path / "bad.fits")
    assert "\n" not in str(caught.value)


def test_a_file_does_not_choose_what_it_unpacks_to(tmp_path, monkeypatch):
    monkeypatch.setattr(outside_file, "MOST_UNPACKED", 2**22)
    path = tmp_path / "bomb.fits.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(5):
            stream.write(bytes(2**20))
    with pytest.raises(DataError, match="unpacks to more"):
        ingest(path)


def test_a_header_does_not_choose_how_much_is_read(tmp_path):
    path = tmp_path / "lamost.fits"
    WRITERS["lamost.fits"](path)
    content = path.read_bytes().replace(
        b"NAXIS1  =                   40", b"NAXIS1  =        9999999999999"
    )
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"lamost\.fits"):
        ingest(path)


def test_the_good_spectra_of_a_folder_are_taken(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    WRITERS["coadd.fits"](folder / "a.fits")
    (folder / "b.fits").write_bytes((folder / "a.fits").read_bytes()[:5000])
    source = Source(files=(folder / "a.fits", folder / "b.fits"), labels=())
    _, scan = ingest_files(Ingest(source=source), tmp_path / "d.zarr")
    lines = (tmp_path / "d.zarr.refused.txt").read_text().splitlines()
    assert (scan.size, scan.n_refused, len(lines)) == (3, 1, 1)
    assert "b.fits" in lines[0]
