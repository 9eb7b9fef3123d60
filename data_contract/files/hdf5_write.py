"""HDF5 files on disks that may be full: the library ends the process where a write is refused.

It does so while it closes what it could not flush. Here a refused write is remembered and kept in
memory instead, so that the library closes in peace, and is raised afterwards.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

__all__ = ["PatientFile", "write_hdf5"]


class PatientFile:
    """A new file, as the ``fileobj`` driver of h5py writes it.

    Attributes
    ----------
    problem : OSError or None
        The first write that the disk refused.
    """

    def __init__(self, path: Path):
        self.problem: OSError | None = None
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._place = self._size = 0
        self._kept: list[tuple[int, bytes]] = []

    def require(self) -> None:
        """Raise what the disk refused."""
        if self.problem is not None:
            raise self.problem

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; the place from the beginning."""
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        """Where the next byte is read or written."""
        return self._place

    def write(self, content: bytes) -> int:
        """Write at the present place; what is refused is kept in memory."""
        content = memoryview(content).cast("B")
        start, done = self._place, 0
        try:
            while self.problem is None and done < len(content):
                done += os.pwrite(self._handle, content[done:], start + done)
        except OSError as problem:
            self.problem = problem
        if done < len(content):
            self._kept.append((start + done, bytes(content[done:])))
        self._place = start + len(content)
        self._size = max(self._size, self._place)
        return len(content)

    def read(self, size: int) -> bytes:
        """Read some bytes; what tells h5py that this is a file."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview) -> int:
        """Read at the present place what was written there, by the disk or not."""
        target = memoryview(buffer).cast("B")
        start, stop = self._place, min(self._place + len(target), self._size)
        length = max(0, stop - start)
        found = os.pread(self._handle, length, start)
        target[:length] = found + bytes(length - len(found))
        for offset, content in self._kept:
            low, high = max(start, offset), min(stop, offset + len(content))
            if low < high:
                target[low - start : high - start] = content[low - offset : high - offset]
        self._place = start + length
        return length

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        self._size = self._place if size is None else size
        try:
            if self.problem is None:
                os.ftruncate(self._handle, self._size)
        except OSError as problem:
            self.problem = problem
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def write_hdf5(path: Path) -> Iterator[tuple[h5py.File, PatientFile]]:
    """Open a new HDF5 file for writing; what the disk refused is raised once it is closed.

    Yields
    ------
    root : h5py.File
    file : PatientFile
        Whose ``require`` ends early what cannot succeed.

    Raises
    ------
    OSError
        If a write was refused.
    """
    file = PatientFile(path)
    try:
        with h5py.File(file, "w") as root:
            yield root, file
        file.require()
    finally:
        file.close()
