"""Kernel of bound states: the lowest eigenvectors of a symmetric tridiagonal matrix."""

import numpy as np
from numba import njit

from starsmith.data_contract.kernels.order import extremes

__all__ = ["lowest_states"]

N_BISECTION = 200  # at most; halving stops where two neighbouring doubles are left
N_INVERSE = 4  # solutions by inverse iteration; each gains all digits of a separate eigenvalue
TINY = 1e-290  # stands in for a pivot of zero


@njit(cache=True, error_model="numpy")
def _count_below(diagonal, off_diagonal, value):
    """Number of eigenvalues below a value: negative pivots of the shifted matrix (Sturm)."""
    count = 0
    pivot = 1.0
    for i in range(diagonal.size):
        # Sturm sequence: signs of pivots of T - λ count eigenvalues below λ
        coupled = off_diagonal[i - 1] * off_diagonal[i - 1] / pivot if i > 0 else 0.0
        pivot = diagonal[i] - value - coupled
        if pivot == 0.0:
            pivot = TINY
        if pivot < 0.0:
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _inverse_step(state, diagonal, off_diagonal, value):
    """Replace ``state`` by (matrix - value)⁻¹ state, of unit length; one-sided pivots suffice."""
    n = diagonal.size
    pivot = np.empty(n)
    for i in range(n):
        pivot[i] = diagonal[i] - value
        if i > 0:
            share = off_diagonal[i - 1] / pivot[i - 1]  # forward elimination
            pivot[i] -= share * off_diagonal[i - 1]
            state[i] -= share * state[i - 1]
        if pivot[i] == 0.0:
            pivot[i] = TINY
    length = 0.0  # largest element: scaled first, or squares overflow
    for i in range(n - 1, -1, -1):
        if i < n - 1:
            state[i] -= off_diagonal[i] * state[i + 1]  # back substitution
        state[i] /= pivot[i]
        length = max(length, abs(state[i]))
    total = 0.0
    for i in range(n):
        state[i] /= length
        total += state[i] * state[i]
    for i in range(n):
        state[i] /= np.sqrt(total)


@njit(cache=True)
def lowest_states(diagonal, off_diagonal, n_state):
    """Eigenvectors of the lowest, well separated eigenvalues, by bisection and inverse iteration.

    Parameters
    ----------
    diagonal : float64 array, shape (n,)
    off_diagonal : float64 array, shape (n - 1,)
    n_state : int

    Returns
    -------
    states : float64 array, shape (n_state, n)
        Of unit length, lowest eigenvalue first, of either sign.
    """
    least, largest = extremes(off_diagonal)
    reach = 2.0 * max(-least, largest)  # Gershgorin: all eigenvalues lie within
    least, largest = extremes(diagonal)
    states = np.ones((n_state, diagonal.size))
    for k in range(n_state):
        low, high = least - reach, largest + reach
        for _ in range(N_BISECTION):
            middle = 0.5 * (low + high)
            if middle <= low or middle >= high:  # neighbouring doubles: nothing left to halve
                break
            if _count_below(diagonal, off_diagonal, middle) > k:
                high = middle
            else:
                low = middle
        for i in range(diagonal.size):  # no symmetry, so that every state is in it
            states[k, i] = 1.0 + i % 7
        for _ in range(N_INVERSE):
            # shifted by the eigenvalue: its state grows fastest
            _inverse_step(states[k], diagonal, off_diagonal, low)
    return states
