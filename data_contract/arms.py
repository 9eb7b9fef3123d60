"""Arms of a spectrograph: which pixels of a spectrum each of them recorded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import DataError

__all__ = ["ArmSpan", "arm_named", "arm_spans"]

MEDIUM = re.compile(r"(?i)\b(mr|medium)\b|_mr$")


@dataclass(frozen=True, slots=True)
class ArmSpan:
    """One arm's stretch of the pixel axis: pixels ``start`` to ``stop - 1``.

    Wavelengths increase within an arm; those of neighbouring arms may overlap.
    """

    name: str
    start: int
    stop: int

    @property
    def pixels(self) -> slice:
        """The arm's pixels, to index the last axis with."""
        return slice(self.start, self.stop)

    @property
    def letter(self) -> str:
        """The arm as PFS files call it: b, r, m (red at medium resolution) or n.

        Of an arm without a name, as old noise tables of ``pfs_mr`` have, it is m.
        """
        return "m" if MEDIUM.search(self.name) or not self.name else self.name[0].lower()

    def __len__(self) -> int:
        return self.stop - self.start


def arm_spans(
    names: Sequence[str], edge: np.ndarray | Sequence[int] | None, n_wave: int
) -> tuple[ArmSpan, ...]:
    """Spans of arms that follow each other along the pixel axis.

    Parameters
    ----------
    names : sequence of str
        One per arm; may be empty where there is one arm.
    edge : int array, shape (n_arm + 1,), or None
        First pixel of each arm, and the number of pixels; None is one arm.
    n_wave : int

    Returns
    -------
    spans : tuple of ArmSpan

    Raises
    ------
    DataError
        If the edges do not divide the pixels, or names are missing or not unique.
    """
    edge = np.array([0, n_wave]) if edge is None else np.asarray(edge)
    names = tuple(names) or ("",)
    whole = edge.astype(np.int64)
    if not (whole[0] == 0 and whole[-1] == n_wave and np.all(np.diff(whole) > 0)):
        raise DataError(f"arm edges {edge.tolist()} do not divide {n_wave} pixels")
    if len(names) != whole.size - 1 or len(set(names)) != len(names):
        raise DataError(f"{whole.size - 1} arms need as many different names, found {names}")
    bounds = whole.tolist()
    return tuple(
        ArmSpan(name, first, last)
        for name, first, last in zip(names, bounds[:-1], bounds[1:], strict=True)
    )


def arm_named(arms: Sequence[ArmSpan], name: str) -> ArmSpan:
    """Find an arm by its name, or by its first letter where that is unique.

    Raises
    ------
    DataError
        If no arm, or more than one, is called so.
    """
    exact = [arm for arm in arms if arm.name == name]
    found = exact or [arm for arm in arms if name and arm.name.startswith(name)]
    if len(found) != 1:
        known = ", ".join(repr(arm.name) for arm in arms)
        raise DataError(f"arm {name!r} is not one of {known}; choose one of these")
    return found[0]
