"""What everything that carries spectra can be turned into: one set of names for all of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropy.table import Table
    from pandas import DataFrame
    from specutils import Spectrum
    from xarray import Dataset

__all__ = ["OBJECTS", "Convertible", "call_later"]

OBJECTS = "starsmith.data_contract.exchange.objects"
TENSORS = "starsmith.learners.torch_data"


def call_later(place: str, name: str, *given: Any) -> Any:
    """Call a function of a module that is loaded now, with the libraries it needs."""
    return getattr(import_module(place), name)(*given)


class Convertible:
    """Spectra as objects of other libraries; ``row`` chooses one of several."""

    __slots__ = ()

    def to_table(self, row: int | None = None) -> "Table":
        """An astropy Table: a row a pixel of one spectrum, a row a spectrum of several."""
        return call_later(OBJECTS, "to_table", self, row)

    def to_pandas(self, row: int | None = None) -> "DataFrame":
        """A pandas DataFrame: a row a pixel of one spectrum, a row a spectrum of several."""
        return call_later(OBJECTS, "to_pandas", self, row)

    def to_xarray(self, row: int | None = None) -> "Dataset":
        """An xarray Dataset over ``spectrum`` and ``wave``."""
        return call_later(OBJECTS, "to_xarray", self, row)

    def to_specutils(self, row: int | None = None) -> "Spectrum":
        """A specutils Spectrum."""
        return call_later(OBJECTS, "to_specutils", self, row)

    def to_torch(self, row: int | None = None) -> dict[str, Any]:
        """Tensors by name: flux, error, usable, and labels where they are known."""
        return call_later(TENSORS, "to_torch", self, row)
