"""Validation spectra as the network sees them, standardised once and kept where it is."""

from collections.abc import Iterator

import torch

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.learners.device import free_bytes
from starsmith.learners.preprocess import Normaliser
from starsmith.learners.scores.validation import standardised_blocks
from starsmith.learners.training.memory import is_memory_error

__all__ = ["Standardised"]

MEMORY_SHARE = 0.1  # of what is free, that validation spectra may take


class Standardised:
    """Standardised spectra of a split, block by block; kept on a device if they fit there.

    Iterating reads and standardises the first time; later, what was kept is handed out. The draw
    of record never changes.

    Parameters
    ----------
    split : TrainingSplit
    normaliser : Normaliser
    device : torch.device
    """

    def __init__(self, split: TrainingSplit, normaliser: Normaliser, device: torch.device):
        self.split, self.normaliser, self.device = split, normaliser, device
        self._kept: list[torch.Tensor] | None = None

    def __iter__(self) -> Iterator[torch.Tensor]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[torch.Tensor] | None = [] if self._fits() else None
        for scaled in standardised_blocks(self.split, self.normaliser):
            block = torch.from_numpy(scaled)
            if kept is not None:
                try:
                    block = block.to(self.device)
                    kept.append(block)
                except (RuntimeError, MemoryError) as problem:
                    if not is_memory_error(problem):
                        raise
                    kept = None  # read anew every time
            yield block
        self._kept = kept

    def _fits(self) -> bool:
        n_bytes = 4 * len(self.split) * self.split.wave.size
        return n_bytes <= MEMORY_SHARE * free_bytes(self.device)
