"""What the gas is made of: elements, abundances and partition functions."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["Composition", "composition", "log_partition"]


@dataclass(frozen=True)
class Composition:
    """Number abundances of one star.

    Attributes
    ----------
    elements : tuple of str
        Symbols, hydrogen first.
    ratio : float64, shape (n_element,)
        Nuclei per hydrogen nucleus.
    mass : float64, shape (n_element,)
        Atomic mass [u].
    ionisation : float64, shape (n_element,)
        Energy to remove the first electron [eV].
    """

    elements: tuple[str, ...]
    ratio: np.ndarray
    mass: np.ndarray
    ionisation: np.ndarray

    def index(self, element: str) -> int:
        """Row of an element."""
        return self.elements.index(element)

    @property
    def mass_per_hydrogen(self) -> float:
        """Mass of gas per hydrogen nucleus [u]."""
        return float(fixed.matmul(self.ratio, self.mass))


def composition(
    m_h: float = 0.0, a_m: float = 0.0, c_m: float = 0.0, sun: str = "log_eps"
) -> Composition:
    """Abundances of a star with [M/H], [α/M] (O, Mg, Si, S, Ca, Ti) and [C/M] [dex].

    ``sun`` is the column of `elements.csv` with the solar ones: ``log_eps`` (Asplund+ 2009) or
    ``log_eps_1989`` (Anders & Grevesse, of the ATLAS9 structures).
    """
    elements = read_table("elements.csv")["element"]
    shift = np.full(len(elements), float(m_h))
    # [M/H] moves metals, not hydrogen and helium
    shift[[elements.index("H"), elements.index("He")]] = 0.0
    shift += a_m * numbers("elements.csv", "alpha")  # 1 for α elements, 0 for others
    shift[elements.index("C")] += c_m
    return Composition(
        elements=elements,
        # number per hydrogen nucleus
        ratio=fixed.power(10.0, numbers("elements.csv", sun) - 12.0 + shift),
        mass=numbers("elements.csv", "mass"),
        ionisation=numbers("elements.csv", "ionisation_ev"),
    )


@lru_cache(maxsize=1)
def _partition_rows() -> dict[str, np.ndarray]:
    rows = np.array([numbers("partition_functions.csv", f"a{i}") for i in range(6)]).T
    return dict(zip(read_table("partition_functions.csv")["species"], rows, strict=True))


def log_partition(species: str | tuple[str, ...], temperature: np.ndarray) -> np.ndarray:
    """Natural logarithm of the partition function of an atom or ion, e.g. ``"Fe I"``.

    Irwin (1981): ln U = Σ aᵢ (ln T)ⁱ, held constant outside 1000-16000 K. Of several species the
    shape is (n_species, ...).
    """
    log_t = fixed.log(np.clip(temperature, 1000.0, 16000.0))  # range of the polynomials [K]
    rows = _partition_rows()
    if isinstance(species, str):
        return np.polynomial.polynomial.polyval(log_t, rows[species])
    columns = np.array([rows[name] for name in species]).T
    return np.polynomial.polynomial.polyval(
        log_t, columns.reshape(*columns.shape, *[1] * log_t.ndim), tensor=False
    )
