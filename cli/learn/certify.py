"""``speclearn certify``: a checkpoint beside the exact ceiling, to be made again by anyone."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes
from starsmith.cli.shared.option_types import Count
from starsmith.cli.shared.progress import tell_ceiling
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.fisher.ceilings.ceiling_table import StarCeiling

__all__ = ["CertifyOptions", "certify"]


@dataclass(frozen=True, kw_only=True)
class CertifyOptions:
    """Options of ``speclearn certify``."""

    model: Path = argument(type=EXISTING)
    data: Path = argument(type=EXISTING)
    n_template: int = option(type=Count(1000), default=40_000, help="Templates of the ceiling.")
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=("speclearn certify models/compressed data.zarr", "speclearn certify vit/ data.zarr"),
)
@takes(CertifyOptions)
def certify(options: CertifyOptions) -> None:
    """Score MODEL on the test stars of DATA beside the exact posterior mean, per bin of S/N.

    The certificate is left in MODEL, with digests of weights, stars and bank. Where there is one,
    it is made again, and the command ends with 3 if it says something else.
    """
    from starsmith.fisher import CeilingOptions, ceiling_of
    from starsmith.learners import load_checkpoint
    from starsmith.learners.evaluation import certificate
    from starsmith.simulator.generation.recorded import open_recorded

    predictor = load_checkpoint(options.model, options.device)
    split = open_recorded(options.data).split("test")
    certificate.check_stars(predictor, split)
    asked = CeilingOptions(
        n_star=len(split), n_template=options.n_template, statistics=("posterior_mean",)
    )

    def ceiling(label: str) -> "StarCeiling":
        return ceiling_of(options.data, label, asked, progress=tell_ceiling).stars

    found = certificate.certify(predictor, split, ceiling, options.n_template)
    path = certificate.keep_certificate(options.model, found, options.overwrite)
    if options.as_json:
        echo_json("speclearn.certify", {"path": str(path), "certificate": found.to_dict()})
    else:
        click.echo(f"{text_table(list(found.rows))}\n\n{path}")
