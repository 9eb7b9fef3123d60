"""Named bits of a prediction's quality: why an answer may be no measurement."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

__all__ = ["QUALITY_BITS", "describe_quality", "flag_names", "quality_value"]

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "outside_training": "a predicted label lies outside the range of the training set",
        "training_edge": "a predicted label lies at the edge of the range of the training set",
        "few_pixels": "few pixels can be used",
        "unlike_training": "the flux is unlike the spectra of the training set",
        "unknown_velocity": "the star is not known to be at rest, and this model knows no other",
        "limits_unknown": "this model does not record what it was trained on",
        "broad_lines": "lines are broader than those of the training set",
        "unknown_resolution": "the width of lines, of the spectrum or the model, is not known",
        "few_draws": "less than 5 % of the draws of a posterior carry its weight",
    }
)

QUALITY_BITS: Mapping[str, int] = MappingProxyType({name: k for k, name in enumerate(MEANINGS)})
"""Name -> bit of the ``quality`` column; 0 is a prediction without a reservation."""


def quality_value(*names: str) -> int:
    """Quality with some bits set; KeyError for an unknown name."""
    return sum(1 << QUALITY_BITS[name] for name in set(names))


def flag_names(quality: int) -> tuple[str, ...]:
    """Names of the bits that are set."""
    return tuple(name for name, bit in QUALITY_BITS.items() if int(quality) >> bit & 1)


def describe_quality(quality: np.ndarray) -> list[str]:
    """One sentence per bit that is set anywhere: how many spectra, and what it means.

    Parameters
    ----------
    quality : int64 array, shape (n_spec,)
    """
    counts = {name: int(((quality >> bit) & 1).sum()) for name, bit in QUALITY_BITS.items()}
    share = " ({n} of {size} spectra)" if quality.size > 1 else ""
    return [
        f"{name}: {MEANINGS[name]}{share.format(n=n, size=quality.size)}"
        for name, n in counts.items()
        if n
    ]
