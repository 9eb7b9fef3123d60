"""The attempt: estimators trained on simulated spectra."""

from starsmith.data_contract.predictions import Predictions, read_predictions, write_ecsv
from starsmith.learners.evaluation.evaluate import (
    Evaluation,
    compare,
    evaluate,
    evaluate_predictions,
)
from starsmith.learners.networks import create_model, list_models, register_model
from starsmith.learners.predict import Predictor, load_checkpoint, predict, predict_spectrum
from starsmith.learners.recipe import list_recipes, load_recipe
from starsmith.learners.train import fit
from starsmith.learners.training.run_folder import TrainingResult
from starsmith.learners.training_figures import plot_predictions, plot_training

__all__ = [
    "Evaluation",
    "Predictions",
    "Predictor",
    "TrainingResult",
    "compare",
    "create_model",
    "evaluate",
    "evaluate_predictions",
    "fit",
    "list_models",
    "list_recipes",
    "load_checkpoint",
    "load_recipe",
    "plot_predictions",
    "plot_training",
    "predict",
    "predict_spectrum",
    "read_predictions",
    "register_model",
    "write_ecsv",
]
