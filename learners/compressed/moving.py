"""Spectra of stars that move: the frame each is seen in, and its coefficients there.

The frame is the one under which the stars a model knows explain the spectrum best, at the typical
noise: with b = T w y, T whitened templates moved to the frame, their normal equations N, and the
scatter of their amplitudes as a prior, the evidence is

    log p = (bᵀ (N + P)⁻¹ b / s² - log det (N + P)) / 2.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from starsmith.fisher.posterior.frames import Frames

__all__ = ["Moving", "peaks"]

N_TEMPLATE = 16  # directions in which stars differ, besides the mean
N_PEAK, NEAR = 4, 1  # frames apart that are told of; others that see the same stars as each
LEAST = 1e-5  # of the evidence of the best frame: with less, a frame is left out of integrals
RATIO = 1.5  # noise over amplitude is rounded to powers of it


@dataclass(frozen=True)
class Moving:
    """Frames of spectra, and what stars at rest look like.

    Attributes
    ----------
    frames : Frames
    centre : float64, shape (n_mode,)
        Mean of z/A over stars at rest.
    covariance : float64, shape (n_mode, n_mode)
        Of z/A.
    """

    frames: Frames
    centre: np.ndarray
    covariance: np.ndarray

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint; those of the features are left out."""
        return {
            "frames.velocities": self.frames.velocities,
            "frames.wave": self.frames.wave,
            "frames.centre": self.centre,
            "frames.covariance": self.covariance,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Moving | None":
        """Inverse of `tensors`; None of a model of stars at rest."""
        if "frames.velocities" not in tensors:
            return None
        frames = Frames(
            tensors["frames.velocities"],
            tensors["frames.wave"],
            tensors["features.weight"],
            tensors["features.modes"],
        )
        return cls(frames, tensors["frames.centre"], tensors["frames.covariance"])

    @cached_property
    def _projectors(self) -> dict[int, np.ndarray]:
        return {}

    def coefficients(self, value: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Coefficients of whitened flux (n_spec, n_wave) in each one's frame, float32."""
        seen = np.empty((len(value), len(self.centre)), dtype=np.float32)
        for k in np.unique(frame):
            if k not in self._projectors:
                self._projectors[k] = self.frames.projector(k).astype(np.float32)
            some = np.flatnonzero(frame == k)
            seen[some] = value[some] @ self._projectors[k].T
        return seen

    def find(
        self, value: np.ndarray, level: np.ndarray, bad: np.ndarray, n_copy: int = 1
    ) -> np.ndarray:
        """Numbers of the frames that each spectrum may be seen in, int64 (n_spec, n_copy).

        Frames are repeated by their share of the probability, the likeliest first; that of frames
        beside each other, which see the same stars, counts for the better of them.

        Parameters
        ----------
        value : float32 array, shape (n_spec, n_wave)
            Whitened flux, 0 where bad.
        level : float array, shape (n_spec,)
            Mean of the whitened variance.
        bad : bool array, shape (n_spec, n_wave)
        n_copy : int, optional
        """
        return peaks(self._log_evidence(value, level, bad), n_copy)

    def likely(self, value: np.ndarray, level: np.ndarray, bad: np.ndarray) -> list[np.ndarray]:
        """Numbers of all frames that a spectrum may be seen in, int64 (n_frame,) of each.

        Those with `LEAST` of the evidence of the best, and their neighbours; arguments as `find`.
        """
        log = self._log_evidence(value, level, bad)
        number, found = np.arange(log.shape[1]), []
        for one in log:
            chosen = np.flatnonzero(one > one.max() + np.log(LEAST))
            near = np.abs(number[:, None] - chosen) <= NEAR
            found.append(np.flatnonzero(near.any(axis=1)))
        return found

    def _log_evidence(self, value: np.ndarray, level: np.ndarray, bad: np.ndarray) -> np.ndarray:
        """Of every frame, up to a constant of each spectrum, float64 (n_spec, n_frame)."""
        n_template = len(self._templates[0])
        templates = self._templates.reshape(-1, value.shape[1])
        shared = (value @ templates.T).reshape(len(value), -1, n_template).astype(np.float64)
        log = np.empty(shared.shape[:2])
        whole = ~bad.any(axis=1)
        log[whole] = self._evidence(shared[whole], level[whole], self._normal)
        for k in np.flatnonzero(~whole):
            here = self._templates[:, :, ~bad[k]].astype(np.float64)
            normal = here @ here.swapaxes(1, 2)
            log[k] = self._evidence(shared[k : k + 1], level[k : k + 1], normal)[0]
        return log

    def _evidence(self, shared: np.ndarray, level: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Log evidence (n_spec, n_frame), from b (n_spec, n_frame, n) and N (n_frame, n, n)."""
        noise = np.sqrt(level)
        amplitude = (shared[:, :, 0] / normal[:, 0, 0]).max(axis=1, initial=0.0)
        step = np.log(RATIO)
        group = np.rint(np.log(noise / np.maximum(amplitude, noise)) / step)
        log = np.empty(shared.shape[:2])
        for k in np.unique(group):
            some = np.flatnonzero(group == k)
            prior = np.exp(2.0 * step * k) * np.diag(np.append(0.0, 1.0 / self._variance))
            total = normal + prior
            b = shared[some].swapaxes(0, 1)
            gain = np.sum((b @ np.linalg.inv(total)) * b, axis=2) / level[some]
            log[some] = 0.5 * (gain - np.linalg.slogdet(total)[1][:, None]).T
        return log

    @cached_property
    def _variance(self) -> np.ndarray:
        """Of the amplitude of each template but the mean."""
        values = np.linalg.eigvalsh(self.covariance)[::-1][:N_TEMPLATE]
        return np.maximum(values, 1e-12 * values[0])

    @cached_property
    def _templates(self) -> np.ndarray:
        """Whitened, moved to every frame, float32 (n_frame, 1 + N_TEMPLATE, n_wave).

        Pixels that some frame moves beyond the end of an arm are 0 in all: frames are compared on
        the same pixels.
        """
        turned = np.linalg.eigh(self.covariance)[1][:, ::-1][:, :N_TEMPLATE]
        spectra = np.vstack([self.centre, turned.T]) @ self.frames.modes / self.frames.weight
        moved = np.stack([self.frames.moved(spectra, rv) for rv in self.frames.velocities])
        common = (moved[:, 0] != 0.0).all(axis=0)
        return (moved * (self.frames.weight * common)).astype(np.float32)

    @cached_property
    def _normal(self) -> np.ndarray:
        """T Tᵀ of every frame, float64."""
        templates = self._templates.astype(np.float64)
        return templates @ templates.swapaxes(1, 2)


def peaks(log: np.ndarray, n_copy: int) -> np.ndarray:
    """Frames by their share of the probability, int64 (n_spec, n_copy); see `Moving.find`.

    Parameters
    ----------
    log : float64 array, shape (n_spec, n_frame)
        Logarithm of each frame's probability, up to a constant of each spectrum.
    n_copy : int
    """
    share = np.exp(log - log.max(axis=1, keepdims=True))
    n_peak = min(N_PEAK, n_copy)
    best, sums = np.empty((len(log), n_peak), dtype=np.int64), np.empty((len(log), n_peak))
    for k in range(n_peak):
        best[:, k] = np.argmax(share, axis=1)
        near = np.abs(np.arange(log.shape[1]) - best[:, k : k + 1]) <= NEAR
        sums[:, k] = np.sum(share * near, axis=1)
        share[near] = 0.0
    edges = np.cumsum(sums, axis=1) / sums.sum(axis=1, keepdims=True)
    places = (np.arange(n_copy) + 0.5) / n_copy
    chosen = np.sum(places[:, None] > edges[:, None, :-1], axis=2)
    return np.take_along_axis(best, chosen, axis=1)
