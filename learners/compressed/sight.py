"""What a network is told of compressed spectra, and the coordinates that its answer begins at.

A small network guesses the labels. Two Gauss-Newton steps from there, through the bank's own
spline, give the place of the posterior and its width, of all labels together. A head states the
posterior in those coordinates, where that of a bright star is nearly a standard normal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from starsmith.fisher.posterior.compression import without_band
from starsmith.fisher.posterior.local_model import LocalFit, LocalModel
from starsmith.fisher.posterior.spline_cells import MovingAxes, SplineAxes
from starsmith.learners.compressed.features import Features
from starsmith.learners.compressed.moving import Moving

__all__ = ["Eye", "Sight", "build_guess"]

GUESS_WIDTH = 128
SOFT = 3.0  # σ: steps and distances to the prior's ends beyond are told less and less of
MIDDLE_WIDTH = 2.5  # of the log of a place over its σ
MOST = 3.0  # of a correlation's slope, and of the log of the misfit


@dataclass(frozen=True)
class Sight:
    """Spectra as a network sees them.

    Attributes
    ----------
    numbers : float32 tensor, shape (n_spec, n_input)
        Without a unit, of order one.
    place : float32 tensor, shape (n_spec, n_label)
        Of each target in the prior's range, where a head's coordinates are 0.
    root : float32 tensor, shape (n_spec, n_label, n_label)
        Lower triangular; root (u - place) are the coordinates of a place u.
    """

    numbers: torch.Tensor
    place: torch.Tensor
    root: torch.Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: torch.Tensor) -> "Sight":
        return Sight(self.numbers[rows], self.place[rows], self.root[rows])

    def to_places(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Places of coordinates (n_spec, n_point, n_label)."""
        turned = torch.linalg.solve_triangular(self.root, coordinates.mT, upper=False)
        return self.place[:, None] + turned.mT


@dataclass(frozen=True)
class Eye:
    """Sees spectra through a projection, and a local model if it has one.

    Attributes
    ----------
    features : Features
    n_label : int
        Targets.
    guess : nn.Module, optional
        Features -> places of all labels that vary, less the middle; without, coordinates are
        places less the middle of the prior.
    local : LocalModel, optional
        Where there is a ``guess``.
    columns : tuple of int
        Targets among the labels that vary.
    moving : Moving, optional
        Of stars that move.
    """

    features: Features
    n_label: int
    guess: nn.Module | None = None
    local: LocalModel | None = None
    columns: tuple[int, ...] = ()
    moving: Moving | None = None

    @property
    def n_input(self) -> int:
        """Numbers a network sees of each spectrum."""
        n = self.n_label
        more = 5 * n + n * (n - 1) // 2 + 1
        return self.features.n_input + (more if self.local else 0)

    @property
    def n_parameters(self) -> int:
        """Of the guess."""
        return 0 if self.guess is None else sum(p.numel() for p in self.guess.parameters())

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint; those of the bank are left out."""
        found = self.features.tensors()
        if self.guess is not None and self.local is not None:
            found |= {f"guess.{n}": v.numpy() for n, v in self.guess.state_dict().items()}
            found |= {"local.edges": self.local.edges, "local.whiten": self.local.whiten}
        if self.moving is not None:
            found |= self.moving.tensors()
        return found

    @classmethod
    def from_tensors(
        cls,
        tensors: dict[str, np.ndarray],
        labels: tuple[str, ...],
        ranges: Mapping[str, tuple[float, float]],
        axes: SplineAxes | MovingAxes,
        node_modes: np.ndarray,
    ) -> "Eye":
        """Inverse of `tensors`; other names are ignored.

        Parameters
        ----------
        tensors : mapping of str to array
        labels : tuple of str
            Targets.
        ranges : mapping of str to (min, max)
            Of the labels along the axes.
        axes : SplineAxes or MovingAxes
            Of the bank.
        node_modes : float32 array
            See `Compression`.
        """
        features = Features.from_tensors(tensors)
        if "local.edges" not in tensors:
            return cls(features, len(labels))
        low, high = np.array([ranges[name] for name in axes.label_names], dtype=np.float64).T
        shapes = without_band(node_modes, len(features.modes))
        local = LocalModel(axes, low, high, shapes, tensors["local.edges"], tensors["local.whiten"])
        guess = build_guess(features.n_input, len(local.varying))
        own = {n.removeprefix("guess."): v for n, v in tensors.items() if n.startswith("guess.")}
        guess.load_state_dict({name: torch.from_numpy(value) for name, value in own.items()})
        columns = tuple(local.varying.index(name) for name in labels)
        moving = Moving.from_tensors(tensors)
        return cls(features, len(labels), guess.eval(), local, columns, moving)

    def project(
        self, flux: np.ndarray, error: np.ndarray, bad: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients and level of spectra, and the frame that each is seen in; see `look`."""
        seen, level, frames = self.look(flux, error, bad)
        return seen, level, frames[:, 0]

    def look(
        self, flux: np.ndarray, error: np.ndarray, bad: np.ndarray | None = None, n_copy: int = 1
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients and level of spectra, and the frames that each may be seen in.

        Parameters
        ----------
        flux, error : float32 arrays, shape (n_spec, n_wave)
            See `Features.project`.
        bad : bool array, shape (n_spec, n_wave), optional
            Pixels whose flux is 0 because nothing is known of it.
        n_copy : int, optional

        Returns
        -------
        seen : float32 array, shape (n_spec, n_mode)
            In the first frame. Meaningless of a spectrum with bad pixels; see `complete`.
        level : float32 array, shape (n_spec,)
        frames : int64 array, shape (n_spec, n_copy)
            Repeated by their share of the probability, the likeliest first.
        """
        if self.moving is None:
            frames = np.zeros((len(flux), n_copy), dtype=np.int64)
            return *self.features.project(flux, error), frames
        bad = np.zeros(flux.shape, dtype=bool) if bad is None else bad
        value, level = self._whitened(flux, error)
        frames = self.moving.find(value, level, bad, n_copy)
        return self.moving.coefficients(value, frames[:, 0]), level, frames

    def likely(self, flux: np.ndarray, error: np.ndarray, bad: np.ndarray) -> list[np.ndarray]:
        """Numbers of all frames that each moving star may be seen in; see `Moving.likely`."""
        assert self.moving is not None
        return self.moving.likely(*self._whitened(flux, error), bad)

    def _whitened(self, flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flux over the typical noise, and the level of the noise, float32."""
        return flux * self.features.weight.astype(np.float32), self.features.level(error)

    def complete(
        self,
        flux: np.ndarray,
        error: np.ndarray,
        bad: np.ndarray,
        frame: int,
        numbers: np.ndarray,
    ) -> tuple[np.ndarray, float]:
        """Coefficients of one spectrum in a frame, bad pixels drawn; see `Features.complete`."""
        if self.moving is None:
            return self.features.complete(flux, error, bad, numbers)
        if not bad.any():
            value = (flux * self.features.weight).astype(np.float32)[None]
            seen = self.moving.coefficients(value, np.array([frame]))
            level = float(self.features.level(error[None])[0])
            return np.repeat(seen, len(numbers), axis=0), level
        if frame not in self._in_frames:
            rows = self.moving.frames.rows(frame)
            self._in_frames[frame] = replace(self.features, modes=rows)
        moved = self._in_frames[frame]
        seen, level = moved.complete(flux, error, bad, numbers)
        return np.linalg.solve(moved.modes @ moved.modes.T, seen.T).T, level

    @cached_property
    def _in_frames(self) -> dict[int, Features]:
        return {}

    def see(self, seen: np.ndarray, level: np.ndarray, frame: np.ndarray) -> Sight:
        """Sight of spectra.

        Parameters
        ----------
        seen : float array, shape (n_spec, n_mode)
            Observed coefficients z.
        level : float array, shape (n_spec,)
            Mean over pixels of w² e².
        frame : int64 array, shape (n_spec,)
            Number of the frame each is seen in.
        """
        numbers = torch.from_numpy(self.features.of(seen, level))
        if self.guess is None or self.local is None:
            shape = (len(numbers), self.n_label)
            eye = torch.eye(self.n_label).expand(*shape, self.n_label)
            return Sight(numbers, torch.full(shape, 0.5), eye)
        with torch.no_grad():
            guessed = self.guess(numbers).numpy() + 0.5
        guessed = np.clip(self.local.fit(seen, level, guessed, frame).place, 0.0, 1.0)
        found = self.local.fit(seen, level, guessed, frame).marginal(list(self.columns))
        told = torch.from_numpy(_told(found, guessed[:, list(self.columns)]))
        return Sight(
            torch.cat([numbers, told], dim=1),
            torch.from_numpy(found.place.astype(np.float32)),
            torch.from_numpy(found.root.astype(np.float32)),
        )


def build_guess(n_input: int, n_label: int) -> nn.Sequential:
    """Small network from features to labels."""
    return nn.Sequential(
        nn.Linear(n_input, GUESS_WIDTH),
        nn.SiLU(),
        nn.Linear(GUESS_WIDTH, GUESS_WIDTH),
        nn.SiLU(),
        nn.Linear(GUESS_WIDTH, n_label),
    )


def _told(found: LocalFit, guessed: np.ndarray) -> np.ndarray:
    """A local fit as numbers of order one, float32 (n_spec, n_number)."""
    n_label = guessed.shape[1]
    sharp = np.diagonal(found.root, axis1=1, axis2=2)
    i, j = np.tril_indices(n_label, -1)
    step = np.einsum("nij,nj->ni", found.root, found.place - guessed)
    parts = (
        2.0 * found.place - 1.0,
        np.tanh(step / SOFT),
        np.log(sharp) - MIDDLE_WIDTH,
        np.clip(found.root[:, i, j] / sharp[:, i], -MOST, MOST),
        np.tanh(sharp * found.place / SOFT),
        np.tanh(sharp * (1.0 - found.place) / SOFT),
        np.clip(np.log(found.misfit), -MOST, MOST)[:, None],
    )
    return np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")
