"""Recipes: everything that decides how a model is trained, from one TOML file."""

import math
import tomllib
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path

import tomli_w

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.data_contract.random import check_seed

__all__ = [
    "LOSSES",
    "UNCERTAIN_LOSSES",
    "NetworkRecipe",
    "PosteriorRecipe",
    "Recipe",
    "RidgeRecipe",
    "TemplateRecipe",
    "TreesRecipe",
    "list_recipes",
    "load_recipe",
    "recipe_to_toml",
    "register_recipe",
]

LOSSES = ("mse", "l1", "gaussian_nll", "beta_nll")
UNCERTAIN_LOSSES = ("gaussian_nll", "beta_nll")
PRECISIONS = ("float32", "bfloat16", "float16")
NOISES = ("fresh", "fixed")
PAPER = "paper"


def _require(condition: bool, key: str, found: object, expected: str) -> None:
    if not condition:
        raise ConfigError(f"recipe key {key} = {found!r}; expected {expected}")


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe:
    """How a network is trained.

    Attributes
    ----------
    loss : str
        ``mse`` (posterior mean), ``l1`` (posterior median), ``gaussian_nll`` (mean and
        uncertainty) or ``beta_nll`` (the same, weighted by the variance to a power).
    beta : float
        That power, of ``beta_nll``: 0 is ``gaussian_nll``, 1 weighs errors as ``mse`` does.
    learning_rate, learning_rate_min : float
        Peak and end of the cosine schedule.
    weight_decay : float
        Of matrices only; norms, biases and positions are never decayed.
    batch_size, epochs : int
    warmup : float
        Fraction of all steps over which the learning rate rises from zero.
    grad_clip : float
        Largest gradient norm.
    ema : float
        Decay per step of the running mean of the weights that is evaluated; 0 for none.
    patience : int
        Stop after this many epochs without a better validation MAE; 0 for never.
    noise : str
        ``fresh``: a new draw of the noise every epoch; ``fixed``: the draw of record.
    precision : str
        ``float32``, ``bfloat16`` or ``float16`` (mixed; the last with a scaled loss).
    epoch_size : int
        Spectra of one epoch of a run that draws its own; a data set brings its number.
    compile : bool
        Compile every part of the network that holds no recurrent layer.
    cuda_graph : bool
        Replay the network as a CUDA graph; not for recurrent ones.
    seed : int
        Of the initial weights, the order of spectra and dropout.
    initial : str
        Checkpoint folder to start from, its weights and input statistics; empty for none.
    options : dict
        Passed to the network's builder.
    """

    loss: str = "mse"
    beta: float = 0.5
    learning_rate: float = 3e-4
    learning_rate_min: float = 1e-5
    weight_decay: float = 1e-4
    batch_size: int = 256
    epochs: int = 100
    warmup: float = 0.03
    grad_clip: float = 0.5
    ema: float = 0.0
    patience: int = 0
    noise: str = "fresh"
    precision: str = "float32"
    epoch_size: int = 20_000
    compile: bool = False
    cuda_graph: bool = False
    seed: int = 0
    initial: str = ""
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        _require(self.loss in LOSSES, "loss", self.loss, f"one of {', '.join(LOSSES)}")
        _require(self.noise in NOISES, "noise", self.noise, f"one of {', '.join(NOISES)}")
        _require(
            self.precision in PRECISIONS,
            "precision",
            self.precision,
            f"one of {', '.join(PRECISIONS)}",
        )
        _require(0 <= self.beta <= 1, "beta", self.beta, "a number in [0, 1]")
        for key in ("learning_rate", "batch_size", "epochs", "grad_clip", "epoch_size"):
            _require(getattr(self, key) > 0, key, getattr(self, key), "a positive number")
        for key in ("learning_rate_min", "weight_decay", "patience"):
            _require(getattr(self, key) >= 0, key, getattr(self, key), "zero or more")
        for key in ("warmup", "ema"):
            _require(0 <= getattr(self, key) < 1, key, getattr(self, key), "a number in [0, 1)")
        check_seed(self.seed)

    @property
    def uncertain(self) -> bool:
        """Whether the loss makes the network predict uncertainties too."""
        return self.loss in UNCERTAIN_LOSSES


@dataclass(frozen=True, kw_only=True)
class RidgeRecipe:
    """How ridge regression is trained.

    Attributes
    ----------
    penalties : tuple of float
        Candidate penalties per training spectrum; alpha = penalty x n_spec. The one with
        the smallest validation error is kept.
    noise_copies : int
        Noise realisations of every training spectrum: the draw of record, then fresh ones.
    """

    penalties: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
    noise_copies: int = 1

    def __post_init__(self):
        _require(
            len(self.penalties) > 0 and min(self.penalties) > 0,
            "penalties",
            self.penalties,
            "a list of positive numbers",
        )
        _require(self.noise_copies >= 1, "noise_copies", self.noise_copies, "one or more")


@dataclass(frozen=True, kw_only=True)
class TreesRecipe:
    """How gradient-boosted trees are trained.

    Attributes
    ----------
    learning_rate, n_leaves, row_fraction, column_fraction : numbers
        LightGBM's ``learning_rate``, ``num_leaves``, ``bagging_fraction`` and
        ``feature_fraction``.
    rounds, patience : int
        Most trees, and how many without a better validation error end the search.
    noise_copies : int
        As in `RidgeRecipe`.
    threads, seed : int
        Results are reproducible for one number of threads.
    """

    learning_rate: float = 0.05
    n_leaves: int = 63
    row_fraction: float = 0.8
    column_fraction: float = 0.8
    rounds: int = 5000
    patience: int = 50
    noise_copies: int = 1
    threads: int = 2
    seed: int = 0

    def __post_init__(self):
        for key in ("learning_rate", "n_leaves", "rounds", "patience", "noise_copies", "threads"):
            _require(getattr(self, key) > 0, key, getattr(self, key), "a positive number")
        for key in ("row_fraction", "column_fraction"):
            _require(0 < getattr(self, key) <= 1, key, getattr(self, key), "a number in (0, 1]")
        check_seed(self.seed)


def _positive(**values: float) -> None:
    for key, value in values.items():
        if not value > 0:
            raise ConfigError(f"recipe key {key} = {value!r}; expected a positive number")


@dataclass(frozen=True, kw_only=True)
class PosteriorRecipe:
    """How the posterior mean over a bank's templates is computed.

    Attributes
    ----------
    n_template : int
        Prior draws every spectrum is compared with.
    n_local : int
        Draws around a spectrum that too few of those resemble; 0 for none.
    seed : int
        Of the templates.
    """

    n_template: int = 40_000
    n_local: int = 512
    seed: int = 0

    def __post_init__(self):
        _positive(n_template=self.n_template, n_local=self.n_local + 1)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class TemplateRecipe:
    """How the single best template is found.

    Attributes
    ----------
    every : int
        The coarse grid takes every second (third, ...) node along each axis.
    iterations : int
        Most steps of the simplex; a fit that needs more has failed.
    tolerance : float
        Size of the simplex at which a fit has converged [node spacings].
    seed : int
        Of the spectra the reduced basis is built from.
    """

    every: int = 2
    iterations: int = 200
    tolerance: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        _positive(every=self.every, iterations=self.iterations, tolerance=self.tolerance)
        check_seed(self.seed)


Recipe = NetworkRecipe | RidgeRecipe | TreesRecipe | PosteriorRecipe | TemplateRecipe

KINDS = {
    "network": NetworkRecipe,
    "ridge": RidgeRecipe,
    "trees": TreesRecipe,
    "posterior": PosteriorRecipe,
    "template": TemplateRecipe,
}
_ADDED: set[str] = set()


def register_recipe(kind: str, recipe: type) -> None:
    """Make a dataclass the recipe of a kind of model; its defaults are read by that name.

    Raises
    ------
    ConfigError
        If the kind is taken.
    """
    if kind in KINDS:
        raise ConfigError(f"a recipe of kind {kind!r} is registered already; choose another name")
    KINDS[kind] = recipe
    _ADDED.add(kind)


def list_recipes() -> list[str]:
    """Names of the packaged recipes; each trains the model of the same name."""
    folder = files("starsmith.learners") / "recipes"
    names = [f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")]
    return sorted(name for name in names if not name.startswith("_"))


def load_recipe(name_or_path: str | Path, model: str | None = None, **overrides: object) -> Recipe:
    """Read a packaged recipe by name, or a TOML file by path.

    Parameters
    ----------
    name_or_path : str or Path
        One of `list_recipes`, a file ending in ``.toml``, or ``paper``: the SpecViT paper's
        settings of the network named by ``model``, or of the one its tiny version is of.
    model : str, optional
        Needed for ``paper``, else ignored.
    overrides
        Keys that win over the file, e.g. ``epochs=3``; ``options`` are merged with the file's.

    Raises
    ------
    ConfigError
        If there is no such recipe, or a key or value is not understood.
    """
    if str(name_or_path) == PAPER:
        return recipe_from_table(_merged(paper_table(model), overrides), f"paper for {model}")
    if name_or_path in _ADDED:
        return recipe_from_table({"kind": name_or_path} | overrides, str(name_or_path))
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in list_recipes():
            raise ConfigError(
                f"no model or recipe is called {str(name_or_path)!r}; choose one of "
                f"{', '.join(list_recipes())}, or give a .toml file"
            )
        path = files("starsmith.learners") / "recipes" / f"{name_or_path}.toml"
    table = read_toml(path, ConfigError)
    return recipe_from_table(_merged(table, overrides), str(name_or_path))


def _merged(table: dict, overrides: dict) -> dict:
    options = table.get("options", {}) | overrides.get("options", {})
    return table | overrides | ({"options": options} if options else {})


def paper_table(model: str | None) -> dict:
    """Keys of the paper's recipe for a network; ConfigError if it has none."""
    text = (files("starsmith.learners") / "recipes" / f"_{PAPER}.toml").read_text()
    tables = tomllib.loads(text)
    common, name = tables.pop("common"), (model or "").removesuffix("_tiny")
    if name not in tables:
        raise ConfigError(
            f"recipe {PAPER!r}: the paper trains no {model!r}; it has {', '.join(tables)}"
        )
    return common | tables[name]


def recipe_from_table(table: dict, source: str) -> Recipe:
    """Build a recipe from its keys; ``kind`` says which."""
    table = dict(table)
    kind = table.pop("kind", "network")
    if kind not in KINDS:
        raise ConfigError(f"recipe {source}: kind {kind!r} is not one of {', '.join(KINDS)}")
    known = {f.name: f for f in fields(KINDS[kind])}
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(
            f"recipe {source}: unknown key(s) {', '.join(unknown)}; a {kind} recipe knows "
            f"{', '.join(sorted(known))}"
        )
    typed = {key: _typed(source, known[key], value) for key, value in table.items()}
    return KINDS[kind](**typed)


def _typed(source: str, key: Field, value: object) -> object:
    """Return ``value`` as the type of the key's default, where TOML writes it differently."""
    default = key.default if key.default is not MISSING else key.default_factory()
    if isinstance(default, float) and type(value) is int:
        return float(value)
    numbers = value if isinstance(value, list) else [value]
    if isinstance(default, tuple) and isinstance(value, list) and _alike(value, default):
        return tuple(value)
    if type(value) is not type(default) or not all(map(_is_finite, numbers)):
        raise ConfigError(
            f"recipe {source}: {key.name} = {value!r} is a {type(value).__name__}; "
            f"expected a {type(default).__name__}, e.g. {default!r}"
        )
    return value


def _alike(values: list, default: tuple) -> bool:
    """Whether all values are numbers, where those of the default are."""
    numeric = all(type(item) in (int, float) for item in default)
    return not numeric or all(type(v) in (int, float) and math.isfinite(v) for v in values)


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def recipe_to_table(recipe: Recipe) -> dict:
    """Return every key of a recipe, ``kind`` first: the inverse of `recipe_from_table`."""
    kind = next(name for name, cls in KINDS.items() if isinstance(recipe, cls))
    return {"kind": kind} | asdict(recipe)


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as a TOML file."""
    table = recipe_to_table(recipe)
    return tomli_w.dumps({key: value for key, value in table.items() if value != {}})
