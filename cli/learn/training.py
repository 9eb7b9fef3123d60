"""What ``speclearn train`` does between its options and the learners."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starsmith.cli.shared.datasets import told_bank
from starsmith.cli.shared.option_types import Range
from starsmith.cli.shared.options import RANGES
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.outside import toml_of
from starsmith.learners import TrainingResult, fit, load_recipe
from starsmith.learners.estimators.registry import Forward, ForwardView, kind_of
from starsmith.learners.online.online_view import OnlineView, open_online
from starsmith.learners.training.distributed import process_group
from starsmith.simulator.generation.recorded import open_recorded
from starsmith.simulator.rendering.positivity import check_positive

__all__ = ["Stars", "recipe_changes", "result_line", "train_model", "with_forward"]

PROGRESS_KEYS = (("epoch", "epochs"), ("n_tree", "rounds"))
OTHER_NOISE = ("noise_model", "population")


@dataclass(frozen=True)
class Stars:
    """Where training stars are drawn from: the source of an `OnlineView`.

    Attributes
    ----------
    data : Path or None
        Data set that validates.
    bank : Path or None
        By default the one ``data`` was made with.
    ranges : mapping of str to (min, max)
        Given on the command line; the rest is that of ``data``, or of ``specsim generate``.
    """

    data: Path | None
    bank: Path | None
    ranges: Mapping[str, tuple[float, float]]

    def open(self, seed: int) -> OnlineView:
        """Open bank and validation stars.

        Raises
        ------
        DataError
            If the data set was made from another bank, or with what cannot be drawn online.
        GridError
            If the bank has no positive flux, or promises none, somewhere in the ranges.
        """
        bank = load_bank(self.bank) if self.bank else told_bank(self.data)
        if self.data is None:
            default = {
                name: Range().convert(text, None, None) for name, (_, text) in RANGES.items()
            }
            check_positive(bank, default | dict(self.ranges))
            return open_online(bank, default | dict(self.ranges), seed)
        data = open_recorded(self.data)
        header = data.header
        if bank.digest != header.bank_digest:
            raise DataError(
                f"{self.data}: made from bank {header.bank_digest[:12]}, but {self.bank} is "
                f"{bank.digest[:12]}; drop --bank to use its own, or DATA to validate on stars "
                "of this bank"
            )
        if "preset" in header.config or any(getattr(header, name, {}) for name in OTHER_NOISE):
            raise DataError(
                f"{self.data}: its noise or its stars are not those of a uniform prior and the "
                "exposure-time calculator, which is all --online draws; train on the data set"
            )
        ranges = {name: tuple(span) for name, span in header.prior.items()} | dict(self.ranges)
        check_positive(bank, ranges)
        return open_online(bank, ranges, seed, data.training().val, data.digest)


def recipe_changes(settings: tuple[str, ...], options: Mapping) -> dict:
    """Keys of a recipe that the command line gives.

    Parameters
    ----------
    settings : tuple of str
        ``KEY=VALUE``; the value as in TOML, quotes may be left out.
    options : mapping
        Options of the command named as their keys; None where not given.

    Raises
    ------
    ConfigError
        If a setting has no value.
    """
    changes: dict = {key: value for key, value in options.items() if value is not None}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: write it as KEY=VALUE, e.g. ema=0.999")
        try:
            value = toml_of(f"value = {text}")["value"]
        except ValueError:
            value = text
        group, dot, name = key.partition(".")
        if dot:
            changes[group] = changes.get(group, {}) | {name: value}
        else:
            changes[key] = value
    return changes


def train_model(
    source: Path | Stars,
    model: str,
    target: tuple[str, ...],
    out: Path,
    recipe: tuple[str, dict],
    *,
    device: str | None = None,
    resume: bool = True,
) -> TrainingResult | None:
    """Fit a model, with progress on stderr.

    Parameters
    ----------
    source : Path or Stars
        A data set, or where to draw stars from.
    model : str
    target : tuple of str
    out : Path
    recipe : (name or file, dict of changed keys)
    device : str, optional
    resume : bool
        False removes a run found in ``out``.

    Returns
    -------
    result : TrainingResult or None
        None in all but one process of several.
    """
    name, changes = recipe
    chosen = load_recipe(name, model, **changes)
    if isinstance(source, Stars):
        view = source.open(getattr(chosen, "seed", 0))
    else:
        view = with_forward(model, open_recorded(source).training(), source)
    with process_group(device) as share, progress_bar(model) as report:
        result = fit(
            model,
            view,
            target,
            chosen,
            out,
            training_progress(report),
            resume=resume,
            device=device,
        )
    return result if share.rank == 0 else None


def with_forward(model: str, view: TrainingView, data: Path) -> TrainingView | ForwardView:
    """Add bank and prior a data set was made with, for the models that compare with them."""
    if not kind_of(model).needs_forward:
        return view
    prior = open_recorded(data).header.prior
    forward = Forward(told_bank(data), {name: tuple(span) for name, span in prior.items()})
    return ForwardView(view, forward)


def training_progress(report: Callable[..., None]) -> Callable[[dict], None]:
    """Turn what a fit tells into progress: epochs, trees or rows, and the steps in between."""
    n_row, best = 0, ""

    def progress(row: dict) -> None:
        nonlocal n_row, best
        if "steps" in row:
            report(row["step"], row["steps"], step_note(row, best))
            return
        n_row += 1
        done, total = n_row, n_row
        for key, whole in PROGRESS_KEYS:
            if key in row and whole in row:
                done, total = row[key], row[whole]
        scores = [f"{k} {row[k]:.4g}" for k in ("train_loss", "val_error") if k in row]
        scored = row.get("val_r2", {})
        names = [f"({name})" if len(scored) > 1 else "" for name in scored]
        best = "  ".join(f"R2{n} {v:.3f}" for n, v in zip(names, scored.values(), strict=True))
        report(done, total, "  ".join([*scores, best]))

    return progress


def step_note(row: dict, best: str) -> str:
    """Loss, latest R2, speed and time left."""
    minutes, seconds = divmod(round(row["seconds_left"]), 60)
    notes = [
        f"loss {row['train_loss']:.3g}",
        best,
        f"{row['spectra_per_second']:,.0f} spectra/s  {minutes}:{seconds:02d} left",
    ]
    return "  ".join(filter(None, notes))


def result_line(result: TrainingResult) -> str:
    """One line on a finished training run."""
    metrics = result.metrics
    scores = ", ".join(
        f"{label} R2 {metrics['val_r2'][label]:.3f}, MAE {metrics['val_mae'][label]:.3g}"
        for label in result.labels
    )
    return (
        f"{result.model}: validation {scores}; {result.stop_reason} after "
        f"{result.seconds:.0f} s; {result.path}"
    )
