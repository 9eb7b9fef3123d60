"""``speclearn chain``: several fine-tunings, one after the other."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.progress import say
from starsmith.data_contract.text_tables import text_table

__all__ = ["ChainOptions", "chain"]


@dataclass(frozen=True, kw_only=True)
class ChainOptions:
    """Options of ``speclearn chain``."""

    file: Path = argument(type=EXISTING)
    out: Path | None = option(type=PATH, help="[default: the name of FILE]")
    device: str | None = device_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=("speclearn chain chain.toml --out chain/",),
    resume="finished stages are kept; run the same command again to continue",
)
@takes(ChainOptions)
def chain(options: ChainOptions) -> None:
    """Go through the stages of FILE: what one leaves is the base of the next.

    FILE names a base and has a [[stage]] for each data set: name, data, strategy, and any option of
    `speclearn finetune` with underscores. A test star of any stage that any stage, or the base,
    learns from ends the command with exit code 3 before anything is trained.
    """
    from starsmith.learners.transfer.chain import read_chain, run_chain
    from starsmith.simulator.generation.recorded import open_recorded

    out = options.out or options.file.with_suffix("")
    results = run_chain(read_chain(options.file), out, open_recorded, options.device, say)
    cards = {name: result.card for name, result in results.items()}
    if options.as_json:
        echo_json("speclearn.chain", {"out": str(out), "stages": cards})
        return
    rows = []
    for name, card in cards.items():
        for label, value in card["model_card"]["metrics"]["val_r2"].items():
            strategy = card["strategy"]["name"]
            row = {"stage": name, "strategy": strategy, "n": card["n_train"], "label": label}
            rows.append(row | {"lr": card["learning_rate"], "R2 val": value})
    click.echo(f"{text_table(rows)}\n\n{out / list(cards)[-1]}-merged")
