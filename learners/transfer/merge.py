"""An adapter and its base written as one plain checkpoint."""

from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.learners.adapter import read_adapter
from starsmith.learners.checkpoint import CARD, write_checkpoint
from starsmith.learners.preprocess import Statistics

__all__ = ["merge"]

PREFIX = "model."


def merge(
    adapter: Path | str,
    out: Path | str,
    base: Path | str | None = None,
    overwrite: bool = False,
) -> dict:
    """Write the model that an adapter and its base make; return its card.

    Parameters
    ----------
    adapter : path
    out : path
        Checkpoint folder.
    base : path, optional
        Where the base lies now, if it is no longer where the adapter says.
    overwrite : bool
        Whether a checkpoint there is replaced.

    Raises
    ------
    DataError
        If the base is another, or something is in the way.
    """
    out = Path(out)
    card, tensors = read_adapter(adapter, base)
    if out.exists() and any(out.iterdir()) and not (overwrite and (out / CARD).is_file()):
        raise DataError(f"{out}: exists; choose another --out, or --overwrite a checkpoint")
    out.mkdir(parents=True, exist_ok=True)
    weights = {n.removeprefix(PREFIX): v for n, v in tensors.items() if n.startswith(PREFIX)}
    card = {name: value for name, value in card.items() if name not in ("files", "weights_sha256")}
    write_checkpoint(out, card, weights, Statistics.from_tensors(tensors))
    return card
