"""The ceiling: how good any estimator of a stellar label could be.

Names are imported on first use, so that what needs one of them does not wait for the others.
"""

from importlib import import_module

_HOME = {
    "ceilings.ceiling": ("ceiling", "ceiling_by_arm"),
    "ceilings.ceiling_table": ("CeilingRow", "CeilingTable"),
    "ceilings.dataset_stars": ("DatasetStars", "ceiling_of", "compare_predictions"),
    "ceilings.leak_test": ("Comparison", "check_leak", "compare", "leak_verdict", "match_keys"),
    "ceilings.options": ("CeilingOptions",),
    "checks.bank_quality": ("Finding", "check_bank"),
    "checks.selftest": ("run_selftest",),
    "figures": ("density_figure", "map_figure", "plot_ceiling", "waterfall_figure"),
    "information.bounds": ("STATISTICS", "fisher_information"),
    "information.crlb": ("CrlbResult", "crlb", "crlb_batch"),
    "information.density": ("StarDensity", "information_of_star"),
    "information.grid_nodes": ("node_spectra", "step_error"),
    "information.nuisances": ("Nuisances",),
    "information.waterfall": ("WaterfallStep", "waterfall"),
    "posterior.posterior_mean": ("GridPosterior", "PosteriorOptions", "posterior_mean"),
    "stars": ("free_labels", "star_at", "stars_at"),
    "survey.exposure_plan": ("ExposurePlan", "Goal", "plan_exposures"),
    "survey.sigma_map": ("SigmaMap", "sigma_map"),
    "survey.star_plan": ("StarPlan", "plan_stars"),
}

_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})
