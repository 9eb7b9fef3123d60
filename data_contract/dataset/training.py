"""What a learner may see while it is trained.

The objects here hold no path to the test split, and one to noiseless flux: what
`TrainingSplit.lend` gives is for the module that draws the noise on the device of the network,
and for no other. That is a guard of the interface, not secrecy: whoever opens the files can
read everything in them.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.schema import SHARD_ROWS, DatasetHeader
from starsmith.data_contract.dataset.shuffle import BUFFER_SHARDS, shuffled_batches
from starsmith.data_contract.dataset.split import SpectrumView, Split
from starsmith.data_contract.noise.view import true_error
from starsmith.data_contract.snr_units import line_widths

__all__ = ["KeyedSpectra", "TrainingSplit", "TrainingView", "join_views", "line_fwhm"]


@dataclass(frozen=True, kw_only=True)
class KeyedSpectra:
    """What observed spectra are made of: noiseless flux + sigma x keyed standard normals.

    Attributes
    ----------
    noiseless, sigma : float32, shape (n_spec, n_wave)
        Flux and the standard deviation of its noise [1e-17 erg/s/cm²/Å].
    seed : int
    split : str
    index : int64, shape (n_spec,)
    """

    noiseless: np.ndarray
    sigma: np.ndarray
    seed: int
    split: str
    index: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingSplit:
    """Labels and observed spectra of one split, nothing else.

    Attributes
    ----------
    name : str
        train or val.
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    label_names : tuple of str
    labels : float64, shape (n_spec, n_label)
    snr : float64, shape (n_spec,)
        Per pixel.
    index : int64, shape (n_spec,)
        Draw keys within the split.
    fresh_noise : bool
        True where every epoch draws its noise anew.
    observe : callable
        ``observe(rows=None, epoch=None) -> SpectrumView``. With ``fresh_noise`` an epoch
        (0, 1, ...) has its own noise; without, or with ``epoch=None``, it is the draw of
        record.
    load : callable
        ``load(cache=None)`` decodes all spectra, once: into memory, or into a folder of
        files that are mapped.
    shard_rows : int
        Spectra decoded together: what `batches` keeps together.
    lend : callable, optional
        ``lend(rows) -> KeyedSpectra``, for the module that draws noise on the device of the
        network, and for no other; None where noise is not drawn anew, or is more than sigma
        times a normal number in every pixel.
    label_errors : float64, shape (n_spec, n_label), optional
        1σ of ``labels``; None where they are exact, or not known of every spectrum.
    velocity : (float, float)
        Least and largest radial velocity of the stars [km/s].
    fwhm : float64, shape (n_wave,), optional
        Of the line profile, pixel included [Å]; None where it is unknown.
    """

    name: str
    wave: np.ndarray
    label_names: tuple[str, ...]
    labels: np.ndarray
    snr: np.ndarray
    index: np.ndarray
    fresh_noise: bool
    observe: Callable[..., SpectrumView]
    load: Callable[..., None]
    shard_rows: int = SHARD_ROWS
    lend: Callable[[slice], KeyedSpectra] | None = None
    label_errors: np.ndarray | None = None
    velocity: tuple[float, float] = (0.0, 0.0)
    fwhm: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def plain_noise(self) -> bool:
        """Whether every epoch draws noise anew, sigma times a normal number in every pixel."""
        return self.lend is not None

    def label(self, name: str) -> np.ndarray:
        """One label, float64 (n_spec,)."""
        return self.labels[:, self.label_names.index(name)]

    def batches(
        self, size: int = 256, epoch: int = 0, seed: int = 0, buffer_shards: int = BUFFER_SHARDS
    ) -> Iterator[np.ndarray]:
        """Rows in random order, a few shards at a time; see `shuffled_batches`."""
        return shuffled_batches(len(self), self.shard_rows, size, epoch, seed, buffer_shards)

    @classmethod
    def of(cls, split: Split, fresh_noise: bool) -> "TrainingSplit":
        """Restrict a split; it stays inside functions, out of reach of attributes."""

        def observe(
            rows: np.ndarray | slice | None = None, epoch: int | None = None
        ) -> SpectrumView:
            """Observed spectra of some rows; see `TrainingSplit`."""
            if fresh_noise and epoch is not None:
                return split.observe(rows, stream="training", sub=epoch)
            return split.observe(rows)

        def load(cache: Path | str | None = None) -> None:
            """Decode all spectra; see `Split.load`."""
            split.load(cache)

        def lend(rows: slice) -> KeyedSpectra:
            """Noiseless flux, σ and keys of some rows."""
            draws, noiseless = split.draws.take(rows), split.flux_model(rows)
            sigma = true_error(split.header.noise, noiseless, draws.conditions)
            return KeyedSpectra(
                noiseless=noiseless,
                sigma=sigma,
                seed=draws.seed,
                split=split.name,
                index=draws.index,
            )

        errors = split.label_errors
        return cls(
            name=split.name,
            wave=split.wave,
            label_names=split.header.label_names,
            labels=split.labels,
            snr=split.snr,
            index=split.draws.index,
            fresh_noise=fresh_noise,
            observe=observe,
            load=load,
            shard_rows=split.header.shard_rows,
            label_errors=None if errors is None or np.isnan(errors).any() else errors,
            lend=lend if fresh_noise and split.header.noise_terms.plain else None,
            velocity=(float(split.draws.rv.min()), float(split.draws.rv.max())),
            fwhm=line_fwhm(split.header),
        )


def line_fwhm(header: DatasetHeader) -> np.ndarray | None:
    """FWHM of the line profile at every pixel, float64 (n_wave,) [Å]; None if unknown."""
    if header.noise is not None:
        return line_widths(header.instrument, header.wave, header.arms)
    spans = header.observed.get("arms", [])
    if not spans or any("lsf_fwhm" not in span for span in spans):
        return None
    waves = (header.wave[arm.pixels] for arm in header.arms)
    return np.concatenate(
        [np.interp(w, s["lsf_wave"], s["lsf_fwhm"]) for w, s in zip(waves, spans, strict=True)]
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingView:
    """The training and validation splits as a learner may see them.

    Attributes
    ----------
    train, val : TrainingSplit
    digest : str
        SHA-256 that names the dataset.
    notice : str
        Label of a demonstration grid, else empty.
    versions : dict of str to str
        Software that made the spectra.
    """

    train: TrainingSplit
    val: TrainingSplit
    digest: str
    notice: str
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> tuple["TrainingView", ...]:
        """Views of every instrument: this one."""
        return (self,)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JoinedView(TrainingView):
    """The first view of several instruments, with the others beside it."""

    others: tuple[TrainingView, ...]

    @property
    def all(self) -> tuple[TrainingView, ...]:
        """Views of every instrument, the first one first."""
        return self, *self.others


def join_views(views: Sequence[TrainingView]) -> TrainingView:
    """Views of several instruments as one."""
    first, *others = views
    if not others:
        return first
    text = " ".join(view.digest for view in views)
    notices = dict.fromkeys(view.notice for view in views if view.notice)
    return JoinedView(
        train=first.train,
        val=first.val,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        notice="; ".join(notices),
        versions=first.versions,
        others=tuple(others),
    )
