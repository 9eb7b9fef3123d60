"""Figure of a training run: loss and validation error by epoch."""

from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.figure_kit import (
    GUIDE,
    INK,
    PAGE,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
)
from starsmith.data_contract.files.outside import read_json_lines
from starsmith.learners.run_folder import METRICS

__all__ = ["plot_training"]


@styled
def plot_training(folder: Path | str, path: Path | str, notice: str = "") -> None:
    """Draw loss and validation error against epoch of a network's run folder.

    Parameters
    ----------
    folder : path
        What `fit` wrote.
    path : path
        Where the figure goes.
    notice : str
        Of the grid behind the data set.

    Raises
    ------
    DataError
        If the folder holds no epochs: ridge and trees have none.
    """
    source = Path(folder) / METRICS
    rows = read_json_lines(source)
    rows = [row for row in rows if "epoch" in row]
    if not rows:
        raise DataError(f"{source}: holds no epochs; only networks have training curves")
    epochs = [row["epoch"] for row in rows]
    figure = new_figure(PAGE, 2.6)
    loss, error = figure.subplots(1, 2)
    loss.plot(epochs, [row["train_loss"] for row in rows], color=INK)
    loss.set(xlabel="epoch", ylabel="training loss")
    for k, label in enumerate(rows[0]["val_mae"]):
        values = [row["val_mae"][label] for row in rows]
        error.plot(epochs, values, color=colour_of(k), label=symbol_of(label))
    best = [row["epoch"] for row in rows if row["best"]]
    if best:
        error.axvline(best[-1], color=GUIDE, lw=1.0, ls="--", label=f"best epoch: {best[-1]}")
    error.set(xlabel="epoch", ylabel="validation MAE [label unit]")
    legend_above(figure, error)
    save_figure(figure, path, notice)
