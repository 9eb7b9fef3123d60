"""``specsim explore``: a page that answers while a slider moves."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, grouped, option, takes
from starsmith.cli.shared.options import BankSource, bank_options

if TYPE_CHECKING:
    from starsmith.cli.explore.estimates import Estimator
    from starsmith.data_contract.bank.bank_file import Bank

__all__ = ["ExploreOptions", "explore"]


@dataclass(frozen=True, kw_only=True)
class ExploreOptions:
    """Options of ``specsim explore``."""

    page: Path | None = option(
        type=PATH, help="Write the page as one HTML file that opens anywhere, and stop."
    )
    overwrite: bool = overwrite_option("Replace a page that is there.")
    models: tuple[Path, ...] = option(
        "--model", type=EXISTING, multiple=True, help="Reads the spectra dropped on the page."
    )
    host: str = option(
        default="127.0.0.1", help="Address to serve at; any but this machine's asks for a token."
    )
    port: int = option(type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
    open_browser: bool = option(
        "--browser/--no-browser", default=True, help="Open the page in a browser."
    )
    source: BankSource = grouped(bank_options)

    def check(self) -> None:
        """Refuse options that contradict each other."""
        from starsmith.data_contract.files.atomic import refuse_existing

        if self.page is not None and self.models:
            raise click.UsageError("--model needs the server, which --page does without; drop one")
        if self.page is not None and self.page.suffix != ".html":
            raise click.UsageError(f"--page {self.page}: a page is written as .html")
        refuse_existing(self.page, self.overwrite)


@click.command(
    cls=Command,
    examples=(
        "specsim explore",
        "specsim explore --instrument pfs_lr --port 8000 --no-browser",
        "specsim explore --model models/compressed",
        "specsim explore --page pfs_mr.html",
    ),
)
@takes(ExploreOptions)
def explore(options: ExploreOptions) -> None:
    """Open a page of one star under one sky: spectrum, noise, S/N and bounds as sliders move.

    Nothing leaves this machine. Stop it with Ctrl-C.
    """
    from starsmith.cli.explore.build_page import build_page, check_size
    from starsmith.data_contract.files.atomic import staged_file

    options.check()
    bank = options.source.reddened(True).open()
    told = {name: str(value) for name, value in options.source.describe().items()}
    html = build_page(bank, told, upload=bool(options.models))
    if options.page is None:
        _serve(options, html, _estimator(bank, options.models))
        return
    check_size(html)
    with staged_file(options.page, sweep=True) as partial:
        partial.write_text(html, encoding="utf-8")
    click.echo(f"{options.page}: {len(html.encode()) / 1e6:.1f} MB, opens in any browser")


def _estimator(bank: "Bank", models: tuple[Path, ...]) -> "Estimator | None":
    if not models:
        return None
    from starsmith.cli.explore.estimates import Estimator
    from starsmith.learners import load_checkpoint
    from starsmith.simulator.prior import Prior

    return Estimator(bank, Prior.default(), [(path.name, load_checkpoint(path)) for path in models])


def _serve(options: ExploreOptions, html: str, estimator: "Estimator | None") -> None:
    from starsmith.cli.explore.server import PageServer

    rows = estimator.rows if estimator is not None else None
    with PageServer(options.host, options.port, html, rows) as server:
        click.echo(f"{server.url}  (Ctrl-C to stop)")
        if options.open_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")
