"""What a learner may see of a run that draws its own stars: like a `TrainingView`, from a bank."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.snr_units import line_widths
from starsmith.learners.online.cpu_bank import open_source
from starsmith.learners.online.torch_bank import OF_RECORD, BankOnDevice

__all__ = ["OnlineView", "online_ranges", "open_online"]

N_STATISTICS = 8192
"""Stars that the statistics of input and labels are measured on."""

N_VAL = 1000
OTHER_NOISE = ("noise_model", "population")
CHUNK = 128


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnlineView:
    """A bank to draw training stars from, and validation stars that are drawn once.

    Attributes
    ----------
    train : TrainingSplit
        Stars the statistics are measured on; the network never sees them.
    val : TrainingSplit
    digest : str
        SHA-256 that names bank, prior, seed and validation stars.
    notice : str
        Label of a demonstration grid, else empty.
    bank : Bank
    ranges : mapping of str to (min, max)
        Uniform prior of labels, ``mag`` and conditions.
    seed : int
    versions : dict of str to str
        Software that draws the stars.
    """

    train: TrainingSplit
    val: TrainingSplit
    digest: str
    notice: str
    bank: Bank
    ranges: Mapping[str, tuple[float, float]]
    seed: int
    versions: dict[str, str]

    @property
    def online(self) -> bool:
        """True: only networks learn from it."""
        return True

    def describe(self) -> dict:
        """Return what the card of a checkpoint says of the stars it was trained on."""
        return {
            "bank": self.bank.digest,
            "seed": self.seed,
            "ranges": {name: list(span) for name, span in self.ranges.items()},
        }


def online_ranges(
    dataset: Dataset, chosen: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, tuple[float, float]]:
    """Ranges to draw from so that a data set's spectra validate: its own, unless chosen.

    Raises
    ------
    DataError
        If the data set was made with what cannot be drawn online.
    """
    header = dataset.header
    if "preset" in header.config or any(getattr(header, name, {}) for name in OTHER_NOISE):
        raise DataError(
            f"{dataset.path}: its noise or its stars are not those of a uniform prior and the "
            "exposure-time calculator, which is all --online draws; train on the data set"
        )
    return {name: tuple(span) for name, span in header.prior.items()} | dict(chosen or {})


def open_online(
    bank: Bank,
    ranges: Mapping[str, tuple[float, float]],
    seed: int = 0,
    val: TrainingSplit | None = None,
    val_name: str = "",
    n_val: int = N_VAL,
    n_statistics: int = N_STATISTICS,
) -> OnlineView:
    """Prepare training on stars drawn from a bank.

    Parameters
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        Uniform prior of labels, ``mag`` and conditions, in glossary units.
    seed : int
    val : TrainingSplit, optional
        Validation stars of a data set made from the same bank; drawn by key, as a data set of
        this seed would hold them, unless given.
    val_name : str
        Digest of that data set.
    n_val, n_statistics : int
        Validation stars to draw, and stars to measure statistics on.

    Returns
    -------
    view : OnlineView

    Raises
    ------
    ConfigError, GridError
        If the bank cannot be drawn from over these ranges.
    DataError
        If the validation stars are on other wavelengths.
    """
    source = open_source(bank, ranges, seed, torch.device("cpu"))
    if val is not None and not np.array_equal(val.wave, bank.wave):
        raise DataError(
            f"validation spectra have {val.wave.size} pixels of {val.wave[0]:.1f}-"
            f"{val.wave[-1]:.1f} Å, the bank {bank.wave.size} of {bank.wave[0]:.1f}-"
            f"{bank.wave[-1]:.1f} Å; give the bank they were made from"
        )
    described = [bank.digest, seed, sorted((k, list(v)) for k, v in ranges.items())]
    described += [val_name or n_val, n_statistics]
    return OnlineView(
        train=replace(
            drawn_split(source, "train", n_statistics),
            fwhm=line_widths(bank.instrument, bank.wave, bank.noise.arms),
        ),
        val=val or drawn_split(source, "val", n_val),
        digest=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        notice=bank.notice,
        bank=bank,
        ranges=dict(ranges),
        seed=seed,
        versions={name: version(name) for name in ("starsmith", "torch", "numpy")},
    )


def drawn_split(source: BankOnDevice, name: str, n_spec: int) -> TrainingSplit:
    """Stars a data set of the same seed would hold in a split, under their noise of record."""
    everyone = torch.arange(n_spec, device=source.device)
    stars = source.draw(everyone, name, OF_RECORD)
    parts = everyone.split(CHUNK)
    snr = torch.cat([source.signal_to_noise(stars.take(some)) for some in parts])

    def observe(rows: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        """Observed spectra of some rows; see `TrainingSplit`."""
        some = everyone[slice(None) if rows is None else rows]
        seen = [
            source.observe(stars.take(part), name, OF_RECORD, error="observed")
            for part in some.split(CHUNK)
        ]
        flux, error = (torch.cat(kind).cpu().numpy() for kind in zip(*seen, strict=True))
        return SpectrumView(wave=source.wave, flux=flux, error=error)

    def load() -> None:
        """Nothing is read from a file."""

    return TrainingSplit(
        name=name,
        wave=source.wave,
        label_names=source.label_names,
        labels=stars.labels.cpu().numpy(),
        snr=snr.cpu().numpy(),
        index=np.arange(n_spec),
        fresh_noise=False,
        observe=observe,
        load=load,
    )
