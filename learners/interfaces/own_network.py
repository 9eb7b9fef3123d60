"""A network of your own, trained and judged under the exact ceiling in one call."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.dataset_stars import ceiling_of
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.learners.evaluation.evaluate import Evaluation, evaluate
from starsmith.learners.evaluation.leak import Verdict, hold_against
from starsmith.learners.networks import list_models, register_model
from starsmith.learners.prediction.predict import load_checkpoint, predict
from starsmith.learners.recipe import load_recipe
from starsmith.learners.train import fit

if TYPE_CHECKING:
    from torch import nn

    from starsmith.data_contract.bank.bank_file import Bank

__all__ = ["Judgement", "judge_network"]


@dataclass(frozen=True)
class Judgement:
    """A network of your own beside what is possible.

    Attributes
    ----------
    evaluation : Evaluation
        Scores on the test split.
    table : CeilingTable
        The exact ceiling of the same stars.
    verdict : Verdict
        The network against the exact posterior mean: ``share`` of what is possible, ``leak``.
    """

    evaluation: Evaluation
    table: CeilingTable
    verdict: Verdict

    def __str__(self) -> str:
        score = self.evaluation.scores["r2"]
        best = self.table.row("all").r2["posterior_mean"][0]
        said = "ABOVE THE CEILING" if self.verdict.leak else "under the ceiling"
        return (
            f"R² {score.value:.3f} ± {score.error:.3f}, {self.verdict.share:.1%} of the possible "
            f"{best:.3f}: {said}"
        )


def judge_network(
    build: "Callable[[int, int], nn.Module] | type[nn.Module]",
    data: Dataset,
    target: str = "logg",
    *,
    bank: "Bank | None" = None,
    out: Path | str = "own_network",
    settings: dict | None = None,
    n_template: int = 40_000,
    progress: Callable[[dict], None] | None = None,
) -> Judgement:
    """Train a network on a data set, and hold it against the exact ceiling of its test stars.

    Parameters
    ----------
    build : callable
        ``build(n_wave, n_output) -> nn.Module``, which maps standardised flux (n_spec, n_wave)
        to (n_spec, n_output); a class is one.
    data : Dataset
    target : str
    bank : Bank, optional
        What the data were made with, where their configuration does not name it.
    out : path
        Checkpoint folder; one that holds the same run is continued.
    settings : dict, optional
        Keys of the recipe that differ from the packaged one of ``specvit_tiny``, e.g.
        ``{"epochs": 3, "learning_rate": 1e-3}``.
    n_template : int
        Templates behind the ceiling.
    progress : callable, optional
        See `fit`.

    Returns
    -------
    judgement : Judgement
        ``print(judgement)`` says it in a line.

    Raises
    ------
    ConfigError
        If the module's name is one of `list_models` that is not yours.
    """
    name = f"own_{getattr(build, '__name__', 'network').lower()}"
    if name not in list_models():
        register_model(name)(lambda n_wave, n_output, **options: build(n_wave, n_output))
    elif name not in _OURS or _OURS[name] is not build:
        raise ConfigError(f"another network is called {name} already; rename yours")
    _OURS[name] = build
    recipe = replace(load_recipe("specvit_tiny"), **(settings or {}))
    fit(name, data.training(), target, recipe, out=out, progress=progress)
    model, test = load_checkpoint(out), data.split("test")
    options = CeilingOptions(n_star=len(test), n_template=n_template)
    table = ceiling_of(data, target, options, bank=bank)
    verdict = hold_against(predict(model, test), table.stars, target)
    return Judgement(evaluate(model, test), table, verdict)


_OURS: dict[str, object] = {}
