"""Kinds of recipes: what may be chosen for each kind of model, and which values it takes."""

from dataclasses import dataclass, field, fields

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.random import check_seed
from starsmith.learners.published import Published

__all__ = [
    "HEADS",
    "LOSSES",
    "UNCERTAIN_LOSSES",
    "AnyInstrumentRecipe",
    "CompressedRecipe",
    "NetworkRecipe",
    "PosteriorRecipe",
    "PretrainRecipe",
    "RidgeRecipe",
    "TemplateRecipe",
    "TreesRecipe",
]

LOSSES = ("mse", "l1", "gaussian_nll", "beta_nll")
UNCERTAIN_LOSSES = ("gaussian_nll", "beta_nll")
PRECISIONS = ("float32", "bfloat16", "float16")
NOISES = ("fresh", "fixed")
SCALINGS = ("spectrum", "pixel")


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
        Of matrices only; norms, biases and positions are decayed by ``published.decay_all``.
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
    compile : bool or "auto"
        Compile every part of the network that holds no recurrent layer; ``auto``: on a GPU.
    cuda_graph : bool
        Replay the network as a CUDA graph; not for recurrent ones.
    seed : int
        Of the initial weights, the order of spectra and dropout.
    initial : str
        Checkpoint folder to start from, its weights and input statistics; empty for none.
    options : dict
        Passed to the network's builder.
    published : Published
        Switches that train as the SpecViT paper did.
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
    compile: bool | str = field(default="auto", metadata={"or": bool})
    cuda_graph: bool = False
    seed: int = 0
    initial: str = ""
    options: dict = field(default_factory=dict)
    published: Published = field(default_factory=Published)

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
        _require(
            self.compile in (True, False, "auto"), "compile", self.compile, "true, false or auto"
        )
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
class PretrainRecipe(NetworkRecipe):
    """How a network learns from spectra without labels; further keys as of `NetworkRecipe`.

    Attributes
    ----------
    scaling : str
        What a network sees: ``spectrum``, flux over its own median less one, which the published
        networks scale further; ``pixel``: every pixel over the median less its mean over the
        training spectra, over its standard deviation.
    steps : int
        Steps of the whole training, which decide the number of epochs; 0 for ``epochs``.
    betas : (float, float)
        Of AdamW.
    initial : str
        Run folder to go on from, its weights and its scales of the input; empty for none.
    rank : int
        Of low-rank changes (LoRA), all that is learned then; 0 changes every weight.
    alpha : float
        alpha / rank is their scale; 0 for twice the rank.
    targets : str
        Layers that change, as of `target_weights`; empty: the attention of a masked network, the
        MLP and output of the first head of an aligned pair, all layers of an autoencoder.
    """

    scaling: str = "pixel"
    steps: int = 0
    betas: tuple[float, float] = (0.9, 0.95)
    rank: int = 0
    alpha: float = 0.0
    targets: str = ""
    compile: bool | str = field(default=False, metadata={"or": str})
    grad_clip: float = 1.0
    weight_decay: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        _require(self.scaling in SCALINGS, "scaling", self.scaling, f"one of {', '.join(SCALINGS)}")
        _require(self.steps >= 0, "steps", self.steps, "zero or more")
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _require(good, "betas", self.betas, "two numbers in [0, 1)")
        _require(self.loss == "mse", "loss", self.loss, "mse: pretraining has losses of its own")
        _require(not self.cuda_graph, "cuda_graph", self.cuda_graph, "false")
        _require(not self.published, "published", self.published, "none of its switches")
        _require(self.rank >= 0 and self.alpha >= 0, "rank", self.rank, "zero or more")
        low = bool(self.initial) or not (self.rank or self.alpha or self.targets)
        _require(low, "rank", self.rank, "0 where initial names no run to change")


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


HEADS = ("mean", "gaussian", "mixture", "truncated", "flow")


@dataclass(frozen=True, kw_only=True)
class StarsRecipe:
    """What networks share that learn from rounds of stars, and answer by a head.

    Attributes
    ----------
    head : str
        ``mean``; or the posterior of all targets together: ``gaussian``, ``mixture`` of
        Gaussians, ``truncated``, Gaussians cut off at the ends of the prior, or an
        autoregressive ``flow``.
    components : int
        Of the mixture, or of every conditional density of the flow.
    mean_weight : float
        Of the squared error of the mean, beside the log density; of ``gaussian``, ``mixture``.
    width, depth : int
        Of the hidden layers.
    residual : bool
        Whether a layer adds to the one before it.
    epochs : int
        Rounds of stars.
    epoch_size : int
        Stars of one round.
    seconds : float
        Rounds are as many as fit, as far as the first one tells; 0 for ``epochs``. How many
        that is depends on the machine.
    batch_size, learning_rate, weight_decay : numbers
        Of AdamW; the peak of a one-cycle schedule.
    seed : int
        Of stars, noise, weights and order.
    """

    head: str = "truncated"
    components: int = 4
    mean_weight: float = 0.5
    width: int = 256
    depth: int = 3
    residual: bool = False
    epochs: int = 40
    epoch_size: int = 16_384
    seconds: float = 0.0
    batch_size: int = 1024
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self):
        _require(self.head in HEADS, "head", self.head, f"one of {', '.join(HEADS)}")
        may_be_zero = ("mean_weight", "seconds", "weight_decay")
        for key in (one.name for one in fields(self) if one.type in (int, float)):
            value, least = getattr(self, key), key in may_be_zero
            wanted = "zero or more" if least else "a positive number"
            _require(key == "seed" or value > 0 or (least and value == 0), key, value, wanted)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class CompressedRecipe(StarsRecipe):
    """How a network on compressed spectra is trained: on fresh stars under fresh noise.

    A first guess of the labels has an eighth as many rounds; no star is drawn twice.

    Attributes
    ----------
    compression : str
        ``pca``, principal components of the bank weighted by noise; or ``moped``, scores at
        the middle of the prior.
    n_mode : int
        Coefficients of ``pca``.
    n_noise : int
        Realisations of the noise that each star is seen under.
    """

    compression: str = "pca"
    n_mode: int = 64
    n_noise: int = 4

    def __post_init__(self):
        super().__post_init__()
        methods = ("pca", "moped")
        _require(self.compression in methods, "compression", self.compression, "one of pca, moped")
        most = self.epoch_size * self.n_noise
        _require(self.batch_size <= most, "batch_size", self.batch_size, f"at most {most}")


@dataclass(frozen=True, kw_only=True)
class AnyInstrumentRecipe(StarsRecipe):
    """How one network for every instrument is trained: on native pixels of several at once.

    A round has alike many stars of every instrument.

    Attributes
    ----------
    n_key : int
        Spectra, besides the mean, that the keys of pixels are values of.
    grad_clip : float
        Largest norm of a gradient.
    """

    n_key: int = 40
    epoch_size: int = 8192
    batch_size: int = 128
    learning_rate: float = 2e-3
    grad_clip: float = 1.0
