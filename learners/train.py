"""Fit any model to a data set: one call for networks, ridge and trees."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.lock import writer_lock
from starsmith.learners.checkpoint import CARD, read_checkpoint
from starsmith.learners.device import MEMORY_BYTES, pick_device
from starsmith.learners.estimators.registry import Forward, ForwardView, Kind, Task, kind_of
from starsmith.learners.first_spectra import first_spectra
from starsmith.learners.networks import list_models
from starsmith.learners.recipe import Recipe, load_recipe
from starsmith.learners.run_folder import (
    METRICS,
    TrainingResult,
    is_closed,
    open_run,
    remove_run,
    result_from_card,
)
from starsmith.learners.training.distributed import agreed, is_leader

if TYPE_CHECKING:
    from starsmith.learners.online.online_view import OnlineView

__all__ = ["fit"]

logger = logging.getLogger(__name__)


def check_request(
    view: "TrainingView | OnlineView", model: str, labels: tuple[str, ...], recipe: Recipe
) -> None:
    """Refuse what cannot be trained, before anything is written.

    Raises
    ------
    ConfigError
        If the model or a target is unknown, or the recipe is for another kind of model.
    DataError
        If a split holds no spectra.
    """
    if model not in list_models():
        raise ConfigError(f"unknown model {model!r}; choose one of {', '.join(list_models())}")
    if not labels or (unknown := sorted(set(labels) - set(view.train.label_names))):
        raise ConfigError(
            f"--target {','.join(labels) or '(none)'}: not a label of this data set; it has "
            f"{', '.join(view.train.label_names)}" + (f", not {unknown}" if labels else "")
        )
    kind = kind_of(model)
    if not isinstance(recipe, kind.recipe):
        raise ConfigError(
            f"model {model!r} needs a {kind.recipe.__name__}, found a {type(recipe).__name__}; "
            f"use the packaged recipe {model!r} or set kind in the file"
        )
    for split in (view.train, view.val):
        if not len(split):
            raise DataError(f"split {split.name!r} of the data set holds no spectra")
        check_known(split, model, kind, labels)
    if getattr(view, "others", ()) and not kind.any_pixels:
        raise ConfigError(
            f"--also: {model!r} learns from one data set; drop it, or --model any_instrument"
        )
    if getattr(view, "online", False):
        if not (kind.is_network or kind.draws_stars):
            raise ConfigError(f"--online: {model!r} is no network; train it on a data set")
    else:
        check_noise(view, recipe)


def check_known(split: TrainingSplit, model: str, kind: Kind, labels: tuple[str, ...]) -> None:
    """Raise DataError if a split lacks labels that a model cannot do without."""
    for name in labels:
        missing = np.isnan(split.label(name))
        if missing.all() or (kind.needs_known_labels and missing.any()):
            raise DataError(
                f"label {name!r} is missing for {missing.sum()} of {len(split)} spectra of split "
                f"{split.name!r}; "
                + ("drop it" if missing.all() else f"{model!r} needs them all, a network does not")
            )


def check_noise(view: TrainingView, recipe: Recipe) -> None:
    """Refuse, or for networks warn of, more noise than a frozen data set can give.

    Raises
    ------
    ConfigError
        If several noise copies are asked of a data set that holds one.
    """
    if view.train.fresh_noise:
        return
    remedy = "this data set, observed or frozen, holds one draw of its noise; simulate with --store"
    if getattr(recipe, "noise_copies", 1) > 1:
        raise ConfigError(
            f"recipe key noise_copies = {recipe.noise_copies}; {remedy} noiseless, or set it to 1"
        )
    if getattr(recipe, "noise", "fixed") == "fresh":
        logger.warning("every epoch sees the same noise: %s noiseless", remedy)


def fit(
    model: str,
    view: "TrainingView | OnlineView | ForwardView",
    target: str | Sequence[str],
    recipe: Recipe | None = None,
    out: Path | str = "checkpoint",
    progress: Callable[[dict], None] | None = None,
    resume: bool = True,
    device: str | None = None,
) -> TrainingResult:
    """Train a model and leave its best checkpoint in a folder.

    Parameters
    ----------
    model : str
        One of `list_models`.
    view : TrainingView, OnlineView or ForwardView
        ``open_dataset(path).training()``: observed spectra of train and val, nothing else. Or
        ``open_online(bank, ranges)``: stars drawn from a bank, each seen once. ``gridposterior``
        and ``template`` take the former with the bank and prior it was made with.
    target : str or sequence of str
        Label(s) to predict, e.g. ``"logg"``.
    recipe : Recipe, optional
        By default the packaged recipe of the same name as the model.
    out : path
        Checkpoint folder. One that holds the same run is continued, or returned as it is if
        the run is complete; any other is refused.
    progress : callable, optional
        Called with a dict of scores after every epoch, penalty or batch of trees. While a
        network trains it is also called about once a second, with ``epoch`` None, ``step``,
        ``steps``, ``train_loss``, ``spectra_per_second`` and ``seconds_left``.
    resume : bool
        If False, a run found in ``out`` is removed and started afresh.
    device : str, optional
        torch device of networks; a GPU by default where there is one.

    Returns
    -------
    result : TrainingResult

    Raises
    ------
    ConfigError, DataError
        If the request cannot be trained, or ``out`` holds something else.
    DataError, DivergedError
        If training meets a number that is not finite; the best weights so far are in ``out``.

    Examples
    --------
    >>> starsmith.fit("ridge", data.training(), "logg", out="ridge2").path.name
    'ridge2'
    """
    out = Path(out)
    # several processes refuse, and fail, as one
    task = agreed(lambda: plan(model, view, target, recipe, out, progress, device))
    kind = kind_of(model)
    with ExitStack() as held:

        def begin() -> None:
            if is_leader():
                held.enter_context(writer_lock(out))
                open_run(out, model, task.labels, task.recipe, task.view, resume)

        agreed(begin)
        if not is_closed(out):
            with removed_if_nothing_came(out):
                if not kind.draws_stars:
                    agreed(lambda: load_if_small(task.view))
                kind.fit(task)
        return result_from_card(out, read_checkpoint(out)[0])


def plan(
    model: str,
    view: "TrainingView | OnlineView | ForwardView",
    target: str | Sequence[str],
    recipe: Recipe | None,
    out: Path,
    progress: Callable[[dict], None] | None,
    device: str | None,
) -> Task:
    """Check a request of `fit`; nothing is written."""
    forward = None
    if isinstance(view, ForwardView):
        view, forward = view.view, view.forward
    labels = (target,) if isinstance(target, str) else tuple(target)
    if recipe is None:
        recipe = load_recipe(model)
    check_request(view, model, labels, recipe)
    kind = kind_of(model)
    pool = recipe.published.template_pool if kind.is_network else 0
    if not getattr(view, "online", False) and 0 < pool < len(view.train):
        view = first_spectra(view, pool)
    if forward is None and kind.draws_stars and getattr(view, "online", False):
        forward = Forward(view.bank, view.ranges)
    task = Task(
        model=model,
        view=view,
        labels=labels,
        recipe=recipe,
        out=out,
        forward=forward,
        progress=progress,
        device=pick_device(device) if kind.is_network or device else None,
    )
    if kind.check is not None:
        kind.check(task)
    return task


@contextmanager
def removed_if_nothing_came(out: Path) -> Iterator[None]:
    """Remove a run folder whose data could not be read before there was a checkpoint."""
    try:
        yield
    except DataError:
        if is_leader() and not (out / CARD).exists() and not (out / METRICS).exists():
            remove_run(out)
            with suppress(OSError):
                out.rmdir()
        raise


def load_if_small(view: TrainingView) -> None:
    """Decode both splits into memory if they fit `MEMORY_BYTES`; else they are streamed."""
    n_spec = len(view.train) + len(view.val)
    if n_spec * view.train.wave.size * 4 <= MEMORY_BYTES:
        view.train.load()
        view.val.load()
