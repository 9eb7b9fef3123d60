"""Any model of starsmith as an estimator of scikit-learn: fit, predict, score, clone."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import LABELS
from starsmith.learners.estimators.registry import SIMPLEST
from starsmith.learners.interfaces.arrays import array_view, recipe_for_arrays
from starsmith.learners.prediction.predict import load_checkpoint
from starsmith.learners.train import fit

__all__ = ["SpectrumRegressor"]


class SpectrumRegressor(RegressorMixin, BaseEstimator):
    """A model of `list_models` that scikit-learn can fit, tune and put into a pipeline.

    Parameters
    ----------
    model : str
        ``ridge``, ``lightgbm``, a network...; see `list_models`.
    settings : dict, optional
        Keys of the model's recipe that differ from the packaged one, e.g. ``{"epochs": 3}``.
    val_fraction : float
        Share of the spectra that chooses penalty, number of trees or epoch.
    random_state : int
        Of that share, and of the weights of networks.
    wave : array, optional
        Wavelengths of the columns of X [vacuum Å]; a pixel apart by default.

    Attributes
    ----------
    predictor_ : Predictor
        The fitted model, as `load_checkpoint` gives it.

    Notes
    -----
    X is flux, (n_spec, n_wave), which every model divides by its median: so it has to be
    positive, which the tag ``positive_only`` tells.

    Examples
    --------
    >>> from starsmith.learners.interfaces.regressor import SpectrumRegressor
    >>> flux = 1.0 + np.random.default_rng(0).normal(0.0, 0.1, (60, 40))
    >>> model = SpectrumRegressor("ridge").fit(flux, flux[:, 3])
    >>> model.predict(flux).shape
    (60,)
    """

    def __init__(
        self,
        model: str = SIMPLEST,
        settings: dict | None = None,
        val_fraction: float = 0.1,
        random_state: int = 0,
        wave: np.ndarray | None = None,
    ):
        self.model = model
        self.settings = settings
        self.val_fraction = val_fraction
        self.random_state = random_state
        self.wave = wave

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's checks have to know."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.regressor_tags.poor_score = True
        return tags

    def _seen(self, flux: np.ndarray, error: np.ndarray | None) -> Observed:
        n_wave = flux.shape[1]
        wave = 8000.0 + np.arange(n_wave) if self.wave is None else np.asarray(self.wave)
        own = None if error is None else np.asarray(error, np.float32)
        return Observed(np.asarray(wave, np.float64), flux.astype(np.float32), own)

    def fit(
        self, X: np.ndarray, y: np.ndarray, error: np.ndarray | None = None
    ) -> "SpectrumRegressor":
        """Fit the model.

        Parameters
        ----------
        X : array, shape (n_spec, n_wave)
            Flux.
        y : array, shape (n_spec,) or (n_spec, n_label)
        error : array of the shape of X, optional
            1σ.
        """
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, ensure_min_samples=4)
        self.n_labels_ = 1 if y.ndim == 1 else y.shape[1]
        names = LABELS[: self.n_labels_]
        labels = np.asarray(y, np.float64).reshape(len(X), -1)
        view = array_view(self._seen(X, error), labels, names, self.val_fraction, self.random_state)
        recipe = recipe_for_arrays(self.model, self.settings)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model"
            fit(self.model, view, names, recipe, out=out, device="cpu")
            self.predictor_ = load_checkpoint(out)
        self._one_dimensional = y.ndim == 1
        return self

    def predict(self, X: np.ndarray, error: np.ndarray | None = None) -> np.ndarray:
        """Predict labels, float64 (n_spec,) or (n_spec, n_label)."""
        return self._predicted(X, error)[0]

    def predict_uncertainty(self, X: np.ndarray, error: np.ndarray | None = None) -> np.ndarray:
        """1σ that the model states, of the shape of `predict`; ValueError if it states none."""
        sigma = self._predicted(X, error)[1]
        if sigma is None:
            raise ValueError(f"{self.model!r} states no uncertainties; try compressed")
        return sigma

    def _predicted(self, X: np.ndarray, error: np.ndarray | None) -> tuple[np.ndarray, Any]:
        check_is_fitted(self, "predictor_")
        X = validate_data(self, X, reset=False)
        value, sigma = self.predictor_.predict(X.astype(np.float32), error)
        if self._one_dimensional:
            return value[:, 0], None if sigma is None else sigma[:, 0]
        return value, sigma
