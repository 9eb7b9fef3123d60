"""One arm of a spectrograph by itself: the same stars, the other arms blind."""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.arms import arm_named
from starsmith.data_contract.bank.bank_file import Bank

__all__ = ["hidden_pixels", "with_arm_alone"]


def hidden_pixels(bank: Bank, arm: str) -> np.ndarray:
    """Pixels of all other arms, bool (n_wave,); none where ``arm`` is empty.

    Raises
    ------
    DataError
        If no arm, or more than one, is called so.
    """
    hidden = np.full(bank.wave.size, bool(arm))
    if arm:
        hidden[arm_named(bank.noise.arms, arm).pixels] = False
    return hidden


def with_arm_alone(bank: Bank, arm: str) -> Bank:
    """Return the bank with endless read noise in all other arms; as it is if ``arm`` is empty.

    Raises
    ------
    DataError
        As `hidden_pixels`.
    """
    if not hidden_pixels(bank, arm).any():
        return bank
    chosen = arm_named(bank.noise.arms, arm).name
    read = np.broadcast_to(bank.noise.read_variance, len(bank.noise.arms)).astype(np.float64)
    blind = np.where([own.name == chosen for own in bank.noise.arms], read, np.inf)
    return replace(bank, noise=replace(bank.noise, read_variance=blind))
