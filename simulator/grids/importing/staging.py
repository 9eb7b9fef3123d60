"""Spectra on their way into a grid: read in any order, kept on disk, settled at the end."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum, wave_tolerance
from starsmith.simulator.grids.importing.node_labels import ArchiveName, NodeLabels

__all__ = ["LoadedFile", "StagedNode", "Staging"]

PRINTED_RELATIVE = 1e-4  # one unit in the fifth and last printed digit


class LoadedFile(NamedTuple):
    """A readable archive file."""

    file: str
    sha256: str
    name: ArchiveName
    spectrum: ModelSpectrum
    medium_verified: bool
    flux_verified: bool


class StagedNode(NamedTuple):
    """Where a node's spectrum waits, and where it came from."""

    file: str
    sha256: str
    atmosphere: str
    coverage: int
    offset: int
    n_row: int
    resolution: int
    medium_verified: bool
    flux_verified: bool


class Staging:
    """Nodes read so far; their spectra lie in one scratch file, so memory holds one at a time.

    Attributes
    ----------
    nodes : dict of NodeLabels to StagedNode
    refused : list of (file, reason)
    merged : list of (file left out, file kept)
    """

    def __init__(self, scratch: Path, advice: str = "fetch it again"):
        self._advice = advice
        self._scratch = scratch.open("w+b")
        self._waves: list[np.ndarray] = []
        self._disputed: dict[NodeLabels, str] = {}
        self.nodes: dict[NodeLabels, StagedNode] = {}
        self.refused: list[tuple[str, str]] = []
        self.merged: list[tuple[str, str]] = []

    def close(self) -> None:
        """Release the scratch file."""
        self._scratch.close()

    def add(self, loaded: LoadedFile) -> None:
        """Keep a file, or settle it against another that claims the same node."""
        labels = loaded.name.labels
        if labels in self._disputed:
            self._refuse_rival(loaded.file, self._disputed[labels])
        elif labels in self.nodes:
            self._settle(loaded)
        else:
            self.nodes[labels] = self._store(loaded)

    def wave(self, node: StagedNode) -> np.ndarray:
        """Vacuum wavelengths of a node [Å], float64 (n_wave,)."""
        return self._waves[node.coverage]

    def spectrum(self, node: StagedNode) -> tuple[np.ndarray, ...]:
        """Flux and, where it has one, continuum of a node [erg/s/cm²/Å], float32 (n_wave,)."""
        n_wave = self.wave(node).size
        self._scratch.seek(node.offset)
        content = self._scratch.read(node.n_row * n_wave * np.dtype(np.float32).itemsize)
        return tuple(np.frombuffer(content, dtype=np.float32).reshape(node.n_row, n_wave))

    @property
    def has_continuum(self) -> bool:
        """Whether every node has a continuum."""
        return all(node.n_row > 1 for node in self.nodes.values())

    def keep_one_coverage(self) -> None:
        """Refuse the nodes whose wavelengths are not those of most nodes."""
        counts = Counter(node.coverage for node in self.nodes.values())
        common = max(counts, key=lambda coverage: (counts[coverage], -coverage), default=0)
        for labels, node in list(self.nodes.items()):
            if node.coverage != common:
                here, there = self._waves[node.coverage], self._waves[common]
                reason = (
                    f"covers {here[0]:.2f}..{here[-1]:.2f} Å in {here.size} samples, most files "
                    f"{there[0]:.2f}..{there[-1]:.2f} Å in {there.size}; {self._advice}, or "
                    "import a range that all files cover"
                )
                self.refused.append((node.file, reason))
                del self.nodes[labels]

    def _store(self, loaded: LoadedFile) -> StagedNode:
        offset = self._scratch.seek(0, 2)
        rows = _rows(loaded.spectrum)
        for row in rows:
            self._scratch.write(row.tobytes())
        return StagedNode(
            file=loaded.file,
            sha256=loaded.sha256,
            atmosphere=loaded.name.atmosphere,
            coverage=self._coverage(loaded),
            offset=offset,
            n_row=len(rows),
            resolution=loaded.name.resolution,
            medium_verified=loaded.medium_verified,
            flux_verified=loaded.flux_verified,
        )

    def _coverage(self, loaded: LoadedFile) -> int:
        """Index of the wavelengths a file shares with earlier ones, or of its own."""
        wave = loaded.spectrum.wave
        for index, known in enumerate(self._waves):
            if wave.size == known.size and np.all(
                np.abs(wave - known) < wave_tolerance(known, loaded.name.resolution)
            ):
                return index
        self._waves.append(wave)
        return len(self._waves) - 1

    def _settle(self, loaded: LoadedFile) -> None:
        labels = loaded.name.labels
        kept = self.nodes[labels]
        if self._coverage(loaded) == kept.coverage and all(
            np.allclose(ours, theirs, rtol=PRINTED_RELATIVE, atol=0.0)
            for ours, theirs in zip(_rows(loaded.spectrum), self.spectrum(kept), strict=False)
        ):
            self.merged.append((loaded.file, kept.file))
            return
        del self.nodes[labels]
        self._disputed[labels] = kept.file
        self._refuse_rival(kept.file, loaded.file)
        self._refuse_rival(loaded.file, kept.file)

    def _refuse_rival(self, file: str, rival: str) -> None:
        reason = f"claims the node of {rival} and disagrees with it; remove the wrong one"
        self.refused.append((file, reason))


def _rows(spectrum: ModelSpectrum) -> list[np.ndarray]:
    """Flux and, where there is one, continuum."""
    return [row for row in (spectrum.flux, spectrum.continuum) if row is not None]
