"""Which spectra a store keeps, and how they are rounded."""

__all__ = ["OBSERVED_BITS", "PRECISIONS", "STEPS_PER_SIGMA", "STORES", "stored_bits"]

STORES = {"noiseless": ("flux_model",), "frozen": ("flux", "error"), "keys": ()}
"""Store kind -> spectra kept in the file; everything else is a view."""

KEEP_BITS = {"noiseless": 12, "frozen": 10, "keys": 12}
"""Store kind -> mantissa bits of its flux: a relative rounding of 2^-13, or (of the noisy flux,
at most 0.01 sigma where S/N per pixel is 20) 2^-11."""

OBSERVED_BITS = 22  # mantissa bits kept of observed spectra: to 2^-23, as they came

PRECISIONS = ("relative", "noise")
"""How stored fluxes are rounded: to a share of themselves, or to one of the noise as well."""

STEPS_PER_SIGMA = {"noiseless": 32, "frozen": 16}
"""Store kind -> steps of precision ``noise`` in one sigma of a pixel without a star, at least. They
add a variance of 1/12 of a step's square: 0.008 % and 0.03 % of the noise's."""

ERROR_BITS = {"relative": 7, "noise": 5}
"""Precision -> mantissa bits of a frozen error. 7: 2^-8 at most and 0.0016 rms, a fifth of the
0.0084 by which an estimate from noisy counts scatters about the true sigma. 5: 2^-6 and 0.0065."""


def stored_bits(store: str, precision: str = "relative") -> dict[str, int | str | None]:
    """Header entries that say how a new dataset of a store kind and a precision is rounded."""
    error_bits = ERROR_BITS[precision] if "error" in STORES[store] else None
    return {"keep_bits": KEEP_BITS[store], "error_bits": error_bits, "precision": precision}
