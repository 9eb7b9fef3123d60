"""HDF5 files that lead elsewhere, or to more than they store: refused in one line."""

import os

import h5py
import numpy as np
import pytest

from starsmith.data_contract import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.conversion import exported_header
from starsmith.data_contract.exchange.published import (
    FLUX,
    HEADER,
    NOISE,
    PARAMS,
    WAVE,
    describe_published,
    read_published,
    write_published,
)


@pytest.fixture(scope="module")
def export(pristine, tmp_path_factory):
    """One split of the example in the published layout, as bytes."""
    folder = tmp_path_factory.mktemp("export")
    write_published(open_dataset(pristine), folder)
    return (folder / "test.h5").read_bytes()


@pytest.fixture
def file(export, tmp_path):
    """A copy to damage."""
    (tmp_path / "test.h5").write_bytes(export)
    return tmp_path / "test.h5"


def refused(file, text):
    """All readers refuse it."""
    for reader in (read_published, describe_published):
        with pytest.raises(DataError, match=text) as caught:
            reader(file)
        assert "\n" not in str(caught.value)


def replace_with(file, name, make):
    """Put something else in the place of an array or group."""
    with h5py.File(file, "r+") as root:
        kept = root[name][...] if isinstance(root[name], h5py.Dataset) else None
        del root[name]
        make(root, name, kept)


def external(root, name, kept):
    root[name] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(root, name, kept):
    root[name] = h5py.SoftLink("/" + name)


def foreign(root, name, kept):
    root.create_dataset(name, kept.shape, kept.dtype, external=[("/etc/passwd", 0, kept.nbytes)])


def virtual(root, name, kept):
    layout = h5py.VirtualLayout(kept.shape, kept.dtype)
    layout[...] = h5py.VirtualSource("/tmp/elsewhere.h5", "x", kept.shape, kept.dtype)
    root.create_virtual_dataset(name, layout)


def filtered(root, name, kept):
    root.create_dataset(name, data=kept, chunks=True, compression="lzf")


def objects(root, name, kept):
    root.create_dataset(name, kept.shape, h5py.vlen_dtype(np.float32))


def empty(root, name, kept):
    root.create_dataset(name, (10**6,) * kept.ndim, np.float64, chunks=(64,) * kept.ndim)


def scalar(root, name, kept):
    root[name] = 1.0


def nothing(root, name, kept):
    root[name] = np.zeros((0,) * kept.ndim)


def group(root, name, kept):
    root.create_group(name)


MAKERS = [external, soft, foreign, virtual, filtered, objects, empty, scalar, nothing, group]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", [WAVE, FLUX])
def test_an_array_lies_in_the_file_itself(file, name, make):
    """Neither behind links, nor in other files, nor of other types, filters or sizes."""
    replace_with(file, name, make)
    refused(file, "spectrumdataset|dataset/arrays|flux")


@pytest.mark.parametrize("make", [external, soft, scalar], ids=lambda make: make.__name__)
def test_groups_are_not_links(file, make):
    """Neither the table nor the noise."""
    for name in (PARAMS, NOISE):
        replace_with(file, name, make)
    refused(file, PARAMS)
    with pytest.raises(DataError):
        exported_header(file.parent)


@pytest.mark.parametrize("make", [external, scalar], ids=lambda make: make.__name__)
def test_a_header_is_one_text(file, make):
    """Not a number, not a link."""
    replace_with(file, HEADER, make)
    with pytest.raises(DataError, match=HEADER):
        exported_header(file.parent)


def test_a_chunk_does_not_unpack_to_more_than_its_slot(file):
    """HDF5 would let it grow: 1 MB of zeros deflated is 1 GB."""
    import zlib

    bomb = zlib.compress(bytes(2**29), 9)
    with h5py.File(file, "r+") as root:
        shape = root[FLUX].shape
        del root[FLUX]
        flux = root.create_dataset(
            FLUX, shape, np.float32, chunks=shape, compression="gzip", compression_opts=1
        )
        flux.id.write_direct_chunk((0, 0), bomb)
    refused(file, "unpacks to more")


def test_a_pipe_or_folder_is_no_file(tmp_path):
    """Opening a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "folder.h5").mkdir()
    for name in ("pipe.h5", "folder.h5", "none.h5"):
        refused(tmp_path / name, "cannot be read as HDF5")


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_file_cut_short_is_refused(file, kept):
    """Wherever the copy ended."""
    file.write_bytes(file.read_bytes()[:kept])
    refused(file, "cannot be read as HDF5")
