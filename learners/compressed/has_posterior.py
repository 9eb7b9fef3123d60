"""What estimators share that answer with a posterior: values and uncertainties, block by block."""

from typing import Any

import numpy as np

from starsmith.learners.preprocess import iterate_blocks

__all__ = ["HasPosterior"]

BLOCK = 2048  # spectra at a time


class HasPosterior:
    """An estimator whose moments are those of its posterior."""

    def posterior(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> Any:
        """Posterior of spectra; see `estimate` for the arguments."""
        raise NotImplementedError

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior means and 1σ in label units, float64 (n_spec, n_label).

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            Observed flux and honest 1σ, any linear unit.
        mask : uint32 array, shape (n_spec, n_wave)
            0 = good.
        """
        parts = [
            self.posterior(flux[rows], error[rows], mask[rows]).moments()
            for rows in iterate_blocks(len(flux), BLOCK)
        ]
        value = np.concatenate([mean for mean, _ in parts])
        if parts[0][1] is None:
            return value, None
        return value, np.concatenate([width for _, width in parts])
