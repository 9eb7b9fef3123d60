"""The ceiling: how good any estimator of a stellar label could be."""

from starsmith.fisher.ceilings.ceiling import CeilingOptions, ceiling, ceiling_by_arm
from starsmith.fisher.ceilings.ceiling_table import CeilingRow, CeilingTable
from starsmith.fisher.ceilings.leak_test import (
    Comparison,
    check_leak,
    compare,
    leak_verdict,
    match_keys,
)
from starsmith.fisher.checks.bank_quality import Finding, check_bank
from starsmith.fisher.checks.selftest import run_selftest
from starsmith.fisher.figures import density_figure, map_figure, plot_ceiling, waterfall_figure
from starsmith.fisher.information.bounds import STATISTICS, fisher_information
from starsmith.fisher.information.crlb import CrlbResult, crlb, crlb_batch
from starsmith.fisher.information.density import StarDensity, information_of_star
from starsmith.fisher.information.grid_nodes import node_spectra, step_error
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.fisher.information.sigma_map import SigmaMap, sigma_map
from starsmith.fisher.information.waterfall import WaterfallStep, waterfall
from starsmith.fisher.posterior.posterior_mean import (
    GridPosterior,
    PosteriorOptions,
    posterior_mean,
)
from starsmith.fisher.stars import free_labels, star_at, stars_at
from starsmith.fisher.survey.exposure_plan import ExposurePlan, Goal, plan_exposures
from starsmith.fisher.survey.star_plan import StarPlan, plan_stars

__all__ = [
    "STATISTICS",
    "CeilingOptions",
    "CeilingRow",
    "CeilingTable",
    "Comparison",
    "CrlbResult",
    "ExposurePlan",
    "Finding",
    "Goal",
    "GridPosterior",
    "Nuisances",
    "PosteriorOptions",
    "SigmaMap",
    "StarDensity",
    "StarPlan",
    "WaterfallStep",
    "ceiling",
    "ceiling_by_arm",
    "check_bank",
    "check_leak",
    "compare",
    "crlb",
    "crlb_batch",
    "density_figure",
    "fisher_information",
    "free_labels",
    "information_of_star",
    "leak_verdict",
    "map_figure",
    "match_keys",
    "node_spectra",
    "plan_exposures",
    "plan_stars",
    "plot_ceiling",
    "posterior_mean",
    "run_selftest",
    "sigma_map",
    "star_at",
    "stars_at",
    "step_error",
    "waterfall",
    "waterfall_figure",
]
