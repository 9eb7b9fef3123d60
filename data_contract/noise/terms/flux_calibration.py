"""Flux calibration: an error of the flux scale, smooth in wavelength."""

from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERM"]


def _shapes(tables, size: float):
    from starsmith.data_contract.noise.modes import smooth_shapes

    return smooth_shapes(tables, size)


TERM = Term(
    switches=(
        Switch(
            name="flux_calibration",
            largest=0.5,
            meaning="Rms error of the flux scale, smooth in wavelength.",
        ),
    ),
    stream="flux_calibration",
    row=("flux calibration", "0", "`flux_calibration`", "1.08"),
    budget="flux_calibration",
    curve="flux calibration",
    shapes=_shapes,
)
