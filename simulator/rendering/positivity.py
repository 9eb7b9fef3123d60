"""Where a bank's interpolated flux is positive: proved on boxes of labels, checked on draws.

Cubic splines undershoot where spectra change by factors between two nodes. What comes out there
is no spectrum, and no relative error can be promised of it: such draws are refused.
"""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import GridError
from starsmith.simulator.rendering.bernstein import Box, boxes, lattice

__all__ = ["check_positive", "refuse_undershoot", "refuse_unpromised", "refused_cells"]

MOST_HALVINGS = 15  # three of each of five labels; what is undecided then is refused


def check_positive(bank: Bank, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse ranges of labels in which some interpolated flux is zero or negative.

    Parameters
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        Of every label of the bank. Ranges that leave its grid are left to others to refuse.

    Raises
    ------
    GridError
        Naming the labels, and a range that is free of it where there is one.
    """
    if not bank.may_undershoot and bank.refused is None:
        return
    within = [tuple(map(float, ranges[name])) for name in bank.label_names]
    if any(
        low < nodes[0] or high > nodes[-1]
        for nodes, (low, high) in zip(bank.axes, within, strict=True)
    ):
        return
    sound = _sound_nodes(bank)
    found = {}
    for box in boxes(bank.axes, bank.degree, within):
        rows = box.support(bank.axes, bank.degree)
        if bank.filled[rows].any() or sound[rows].all():  # no draw is accepted, or all are well
            continue
        if bank.refused is None:
            where = _undershoot(bank, box, rows)
        else:
            where = _centre(box) if bank.refused[rows.flat[0]] else None
        if where is not None:
            found[box] = where
    if found:
        every = list(boxes(bank.axes, bank.degree, within))
        raise GridError(_told(bank, next(iter(found.values())), _remedy(bank, every, set(found))))


def refuse_undershoot(bank: Bank, labels: np.ndarray, flux: np.ndarray) -> None:
    """Refuse spectra that are not positive at every pixel.

    Parameters
    ----------
    bank : Bank
    labels : float64 array, shape (n_spec, n_label)
    flux : float32 array, shape (n_spec, n_wave)

    Raises
    ------
    GridError
        Naming the labels of the first.
    """
    if bank.may_undershoot and not (positive := flux.min(axis=1) > 0).all():
        raise GridError(_told(bank, labels[~positive][0], "narrow the ranges of labels"))


def refuse_unpromised(bank: Bank, labels: np.ndarray) -> None:
    """Refuse draws in cells of a compressed bank that promise no error.

    Parameters
    ----------
    bank : Bank
        Compressed.
    labels : float64 array, shape (n_spec, n_label)
        Such draws, if any.

    Raises
    ------
    GridError
        Naming the labels of the first.
    """
    if len(labels):
        raise GridError(_told(bank, labels[0], "narrow the ranges of labels"))


def refused_cells(bank: Bank, values: np.ndarray) -> np.ndarray:
    """Cells in which some Bernstein coefficient is not positive.

    Parameters
    ----------
    bank : Bank
    values : float array, shape (n_node, n_value)
        B-spline coefficients.

    Returns
    -------
    refused : bool array, shape (n_cell_1, n_cell_2, ...)
    """
    doubtful = ~(values > 0)
    refused = []
    for box in boxes(bank.axes, bank.degree):
        rows = box.support(bank.axes, bank.degree)
        pixels = np.flatnonzero(doubtful[rows.ravel()].any(axis=0))
        here = box.coefficients(values[:, pixels][rows].astype(np.float64), bank.axes, bank.degree)
        refused.append(not (here > 0).all())
    return np.array(refused).reshape(lattice(bank.axes, bank.degree))


def _sound_nodes(bank: Bank) -> np.ndarray:
    """Nodes whose coefficients are all positive: cells that combine no other need no search."""
    if bank.refused is not None:
        return np.zeros(len(bank.coef), dtype=bool)
    sound = (bank.coef > 0).all(axis=1) & (bank.band_coef > 0)
    return sound & (bank.velocity.coef > 0).all(axis=1) if bank.velocity else sound


def _centre(box: Box) -> tuple[float, ...]:
    return tuple(0.5 * (low + high) for low, high in box.spans)


def _undershoot(bank: Bank, box: Box, rows: np.ndarray) -> tuple[float, ...] | None:
    """Labels at which some flux is not positive, or cannot be shown to be; None if none."""
    moving = [bank.velocity.coef] if bank.velocity else []
    every = np.concatenate(
        [coef[rows.ravel()] for coef in (bank.band_coef[:, None], bank.coef, *moving)], axis=1
    )
    values = every[:, ~(every > 0).all(axis=0)].astype(np.float64)
    return _search(bank, box, values.reshape(*rows.shape, -1), 0)


def _search(bank: Bank, box: Box, values: np.ndarray, depth: int) -> tuple[float, ...] | None:
    coefficients = box.coefficients(values, bank.axes, bank.degree)
    over = tuple(range(len(bank.axes)))
    doubtful = ~(coefficients > 0).all(axis=over)
    if not doubtful.any():
        return None
    ends = coefficients[np.ix_(*([0, n - 1] for n in coefficients.shape[:-1]))].min(axis=-1)
    if not ends.min() > 0:
        corner = np.unravel_index(ends.argmin(), ends.shape)
        return tuple(span[end] for span, end in zip(box.spans, corner, strict=True))
    free = [k for k in over if box.spans[k][0] < box.spans[k][1]]
    if depth == MOST_HALVINGS or not free:
        return _centre(box)
    for half in box.halves(free[depth % len(free)]):
        where = _search(bank, half, values[..., doubtful], depth + 1)
        if where is not None:
            return where
    return None


def _remedy(bank: Bank, every: list[Box], bad: set[Box]) -> str:
    """Advice: the label whose narrowing keeps the largest share of its range."""
    best = (0.0, "", 0.0, 0.0)
    for k, name in enumerate(bank.label_names):
        spans = sorted({box.spans[k] for box in every})
        spoilt = {box.spans[k] for box in bad}
        whole = spans[-1][1] - spans[0][0]
        low = None
        for span in spans:
            if span in spoilt:
                low = None
                continue
            low = span[0] if low is None else low
            if whole > 0 and (share := (span[1] - low) / whole) > best[0]:
                best = (share, name, low, span[1])
    if not best[1]:
        return "no range of one label alone avoids it: narrow several"
    return f"--{best[1].replace('_', '-')} {best[2]:g}..{best[3]:g} is free of it"


def _told(bank: Bank, labels: tuple[float, ...], remedy: str) -> str:
    where = ", ".join(f"{n} {x:.6g}" for n, x in zip(bank.label_names, labels, strict=True))
    instead = "render the bank with --interpolation linear, or take a grid with closer nodes"
    if bank.refused is None:
        what = "the cubic spline undershoots: interpolated flux is zero or negative near"
    else:
        what = "this compressed bank promises no error (its splines may undershoot there) near"
        instead = "use the bank it was made from"
    return f"{what} {where}; {remedy}, or {instead}"
