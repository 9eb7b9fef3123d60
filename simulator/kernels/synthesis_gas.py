"""Particles of a gas point by point: electrons by bisection, atoms that molecules leave free."""

import math

from numba import njit

__all__ = ["fill_electrons", "fill_free_atoms"]

N_BISECTION = 50  # ln n_e to 60/2^50


@njit(cache=True, error_model="numpy")
def fill_electrons(n_electron, hydrogen, total, constants, ratio, binding):
    """Fill electrons and neutral hydrogen where donors pay for free electrons and for H-.

    Parameters
    ----------
    n_electron, hydrogen : float64 array, shape (n_point,)
        Overwritten [1/cm³].
    total : float64 array, shape (n_point,)
        All particles [1/cm³].
    constants : float64 array, shape (n_element, n_point)
        n(II) n_e / n(I) [1/cm³], hydrogen first.
    ratio : float64 array, shape (n_element,)
        Nuclei per hydrogen nucleus.
    binding : (float64 array (n_point,), float64 array (n_point,))
        n(H)² / n(H2) [1/cm³]; n(H-) / (n(H) n_e) [cm³].
    """
    h2, attach = binding
    others = 0.0
    for i in range(1, ratio.size):
        others += ratio[i]
    for k in range(total.size):
        # at most half of all particles are electrons; in ln n_e: they span twenty decades
        low, high = math.log(total[k]) - 60.0, math.log(total[k] * 0.5)
        for _ in range(N_BISECTION):
            middle = 0.5 * (low + high)
            trial = math.exp(middle)
            protons = constants[0, k] / trial  # per neutral atom
            atoms = neutral_hydrogen(total[k] - trial, protons, h2[k], others)
            nuclei = atoms * (1.0 + protons) + 2.0 * atoms * atoms / h2[k]  # H I + H II + 2 H2
            metals = 0.0
            for i in range(1, ratio.size):
                metals += ratio[i] * constants[i, k] / (constants[i, k] + trial)
            # charge: donors must pay for free electrons and for H-
            if atoms * protons + nuclei * metals > trial + atoms * trial * attach[k]:
                low = middle
            else:
                high = middle
        found = math.exp(0.5 * (low + high))
        protons = constants[0, k] / found
        n_electron[k] = found
        hydrogen[k] = neutral_hydrogen(total[k] - found, protons, h2[k], others)


@njit(cache=True, error_model="numpy")
def neutral_hydrogen(heavy, proton_ratio, h2, others):
    """Neutral hydrogen atoms among ``heavy`` particles [1/cm³].

    h (1 + φ)(1 + A) + (h²/K)(1 + 2A) = heavy, with φ protons per atom, K of H2 and A other nuclei
    per hydrogen nucleus.
    """
    a = (1.0 + 2.0 * others) / h2  # of a x² + b x = heavy, with x = n(H I)
    b = (1.0 + proton_ratio) * (1.0 + others)
    # the root that does not cancel where molecules are few
    return 2.0 * heavy / (b + math.sqrt(b * b + 4.0 * a * heavy))


@njit(cache=True, error_model="numpy")
def fill_free_atoms(free, nuclei, alone, pairs, n_sweep):
    """Fill the neutral atoms of C, N, O, Si and Ti, in this order, that molecules leave free.

    Gauss-Seidel over the elements; the stiff pair C and O is solved together through CO.

    Parameters
    ----------
    free : float64 array, shape (5, n_point)
        Overwritten [1/cm³].
    nuclei : float64 array, shape (5, n_point)
        In whatever form [1/cm³].
    alone : float64 array, shape (5, n_point)
        Free nuclei and those in hydrides and water, per free neutral atom.
    pairs : float64 array, shape (6, n_point)
        Dissociation constants of CO, CN, TiO, N2, C2, SiO [1/cm³].
    n_sweep : int
    """
    for k in range(free.shape[1]):
        cn, tio, n2, c2, sio = pairs[1, k], pairs[2, k], pairs[3, k], pairs[4, k], pairs[5, k]
        all_n, all_si, all_ti = nuclei[1, k], nuclei[3, k], nuclei[4, k]
        c, n, o, si, ti = free[0, k], free[1, k], free[2, k], free[3, k], free[4, k]
        for _ in range(n_sweep):  # each element in turn, the others as they were
            si = all_si / (alone[3, k] + o / sio)
            ti = all_ti / (alone[4, k] + o / tio)
            b = alone[1, k] + c / cn
            n = 2.0 * all_n / (b + math.sqrt(b * b + 8.0 * all_n / n2))  # N2 makes it quadratic
            carbon = alone[0, k] + n / cn + 2.0 * c / c2
            oxygen = alone[2, k] + si / sio + ti / tio
            # CO locks up the scarcer of the two: solved together
            c, o = solve_pair(nuclei[0, k], nuclei[2, k], carbon, oxygen, pairs[0, k])
        free[0, k], free[1, k], free[2, k], free[3, k], free[4, k] = c, n, o, si, ti


@njit(cache=True, error_model="numpy")
def solve_pair(n_a, n_b, a, b, k):
    """Free x, y with a x + x y/k = n_a and b y + x y/k = n_b, without cancellation."""
    half = a * b * k + n_b - n_a
    root = math.sqrt(half * half + 4.0 * a * b * k * n_a)
    # whichever form of the root does not cancel
    x = 2.0 * b * k * n_a / (half + root) if half > 0.0 else (root - half) / (2.0 * a)
    return x, n_b / (b + x / k)
