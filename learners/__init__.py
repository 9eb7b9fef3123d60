"""The attempt: estimators trained on simulated spectra.

Names are imported on first use, so that what needs no network does not wait for torch.
"""

from importlib import import_module

# At once: a module has the name of this function, and would take its place.
from starsmith.learners.predict import predict

_HOME = {
    "starsmith.data_contract.predictions": ("Predictions", "read_predictions", "write_ecsv"),
    "starsmith.learners.estimators.registry": ("Kind", "Task", "register_estimator"),
    "starsmith.learners.evaluation.evaluate": (
        "Evaluation",
        "compare",
        "evaluate",
        "evaluate_predictions",
    ),
    "starsmith.learners.networks.registry": ("create_model", "list_models", "register_model"),
    "starsmith.learners.predict": ("Predictor", "load_checkpoint", "predict_spectrum"),
    "starsmith.learners.recipe": ("list_recipes", "load_recipe"),
    "starsmith.learners.train": ("fit",),
    "starsmith.learners.training.run_folder": ("TrainingResult",),
    "starsmith.learners.training_figures": ("plot_predictions", "plot_training"),
}

_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["predict", *sorted(_MODULE)]


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})
