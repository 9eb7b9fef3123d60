"""Options that the commands of ``specdata`` share, and the bank they mean."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starsmith.cli.shared.option_table import option
from starsmith.cli.shared.options import BANK_OPTIONS, BankSource, typed_on_command_line

if TYPE_CHECKING:
    from starsmith.simulator.generation.remake import BankRemaker

__all__ = ["remake_option", "remaker_of"]


def remake_option() -> Any:
    """``--remake``: also hold every row against its key."""
    return option(is_flag=True, help="Also make every row again from its key and compare.")


def remaker_of(path: Path, source: BankSource) -> Callable[[dict], "BankRemaker"]:
    """What makes a data set again, given its header: the bank that was typed, else its own."""
    typed = typed_on_command_line(*BANK_OPTIONS)

    def remaker(run: dict) -> "BankRemaker":
        from starsmith.data_contract.quantities import moving, reddened
        from starsmith.simulator.generation.recorded import bank_of_run
        from starsmith.simulator.generation.remake import BankRemaker

        prior = run["prior"]
        named = source.moving(moving(prior)).reddened(reddened(prior))
        return BankRemaker.of(named.open() if typed else bank_of_run(path, run), run)

    return remaker
