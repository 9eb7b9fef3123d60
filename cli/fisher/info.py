"""``specfisher info``: where the information on a label sits in a star's spectrum."""

from pathlib import Path

import click

from starsmith.cli.fisher.options import (
    UNUSED_BY_CEILINGS,
    normalise_option,
    nuisance_option,
    plot_option,
    refuse_moving,
    star_option,
    target_option,
)
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.options import bank_options, config_option, prior_options
from starsmith.data_contract.figure_kit import save_figure

__all__ = ["info"]


@click.command(
    cls=Command,
    examples=(
        "specfisher info --star teff=4750,logg=2.5,m_h=-1 --mag 21",
        "specfisher info --star teff=5750,logg=4.5,m_h=0 --target m_h --plot info.png",
        "specfisher info --star logg=2.5 --mag 21 --waterfall waterfall.png",
    ),
)
@star_option
@target_option
@normalise_option
@nuisance_option
@plot_option
@click.option(
    "--waterfall", type=click.Path(path_type=Path), help="Figure of what each unknown costs."
)
@json_option()
@bank_options
@prior_options
@config_option(*UNUSED_BY_CEILINGS)
def info(source, prior, star, target, normalise, nuisance, as_json, **figures):
    """Show where in a star's spectrum the information on a label sits, and what unknowns cost.

    Ranges stand for their middle; labels whose range has a width are fitted beside the target.
    --nuisance chooses what joins the waterfall; all of them, without priors, by default.
    """
    from starsmith.cli.fisher.ceiling_work import parse_nuisances
    from starsmith.cli.fisher.info_work import density_report, describe_density, draw_waterfall
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.fisher import density_figure, free_labels, information_of_star, star_at
    from starsmith.fisher import waterfall as waterfall_of

    for figure in figures.values():
        check_suffix(figure)
    refuse_moving(prior)
    chosen = parse_nuisances(nuisance) if nuisance else None
    bank = source.open()
    draws = star_at(bank, prior, star)
    names = free_labels(bank, prior, target)
    found = information_of_star(bank, draws, target, names, normalise)
    report = density_report(found, draws, waterfall_of(bank, draws, target, names, chosen))
    if figures["plot"]:
        save_figure(density_figure(found, bank.notice), figures["plot"])
    draw_waterfall(figures["waterfall"], report, bank.notice)
    finish("specfisher.info", report, describe_density(report), as_json, bank.notice)
