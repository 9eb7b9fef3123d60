"""Switches of a recipe that train a network as the SpecViT paper and its code did."""

from dataclasses import asdict, dataclass

from starsmith.data_contract.errors import ConfigError

__all__ = ["AS_PUBLISHED", "Published", "published_table"]

LEAST = {"initial_spread": 0, "noise_level": 0, "template_pool": 0, "shards": 1}


@dataclass(frozen=True, kw_only=True)
class Published:
    """The section ``[published]`` of a network's recipe: each key alone, all of them off.

    Attributes
    ----------
    initial_spread : float
        Standard deviation of the first summary token and positions; 0 for ours, 0.02.
    library_tokenizer : bool
        Convolutions start as torch starts them, uniform within 1 / sqrt(inputs), and the linear
        layer of sliding windows as the transformers library does, normal of width 0.02.
    decay_all : bool
        Decay norms, biases, summary token and positions as well.
    epoch_cosine : bool
        The cosine of the learning rate falls once per epoch, not at every step.
    unscaled : bool
        The network sees flux over twice its median, about 0.5, and no pixel is standardised.
    clip : bool
        Flux below zero is zero, after the median is divided out.
    noise_level : float
        Noise of training is so many times the instrument's, alpha of Eq. 3; 1 for its own.
    template_pool : int
        Stars learned from, each under new noise every time: the first of a data set, or of those
        that are drawn online, where none comes twice otherwise; 0 for no limit.
    shards : int
        Equal parts of the training split, read one after the other: no batch has stars of two.
        Stars that are drawn online lie in none.
    """

    initial_spread: float = 0.0
    library_tokenizer: bool = False
    decay_all: bool = False
    epoch_cosine: bool = False
    unscaled: bool = False
    clip: bool = False
    noise_level: float = 1.0
    template_pool: int = 0
    shards: int = 1

    def __post_init__(self):
        for key, least in LEAST.items():
            if not (found := getattr(self, key)) >= least:
                raise ConfigError(
                    f"recipe key published.{key} = {found!r}; expected {least} or more"
                )

    def __bool__(self) -> bool:
        return self != Published()


AS_PUBLISHED = Published(
    initial_spread=1.0,
    library_tokenizer=True,
    decay_all=True,
    epoch_cosine=True,
    unscaled=True,
    clip=True,
    noise_level=1.0,
    template_pool=1_000_000,
    shards=5,
)
"""Every switch as published; the pool is the paper's 10^6 spectra in five shards (App. G)."""


def published_table(value: object) -> object:
    """Keys of a section ``published``, for which true and false stand for all and none."""
    if isinstance(value, bool):
        return asdict(AS_PUBLISHED if value else Published())
    return value
