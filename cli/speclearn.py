"""``speclearn``: train, score and use networks and their baselines."""

import click

from starsmith.cli.shared.about import ABOUT
from starsmith.cli.shared.command import LazyGroup, version_option

__all__ = ["main"]

NAMES = (
    "bench",
    "certify",
    "chain",
    "cross",
    "embed",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "info",
    "merge",
    "models",
    "predict",
    "similar",
    "train",
)


@click.group(
    cls=LazyGroup,
    name="speclearn",
    places={**ABOUT, **{name: f"starsmith.cli.learn.{name}:{name}" for name in NAMES}},
)
@version_option()
def main() -> None:
    """Train networks on simulated spectra, score them, use them on your own."""


@main.group(
    cls=LazyGroup,
    places={
        name: f"starsmith.cli.learn.pretrain.{name}:{name}"
        for name in ("align", "autoencoder", "masked")
    },
)
def pretrain() -> None:
    """Train networks on spectra without labels."""


@main.group(
    cls=LazyGroup,
    places={name: f"starsmith.cli.learn.hub:{name}" for name in ("pull", "push")},
)
def hub() -> None:
    """Checkpoints on a model hub, checked against their lists of files."""


@main.group(
    "import",
    cls=LazyGroup,
    places={"specclip": "starsmith.cli.learn.import_specclip:specclip"},
)
def import_group() -> None:
    """Bring networks of others into ours."""


if __name__ == "__main__":
    main()
