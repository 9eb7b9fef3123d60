"""Telluric residual: lines corrected by a model whose optical depth is wrong."""

from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERM"]


def _shapes(tables, size: float):
    from starsmith.data_contract.noise.modes import telluric_depth

    return size * telluric_depth(tables)


TERM = Term(
    switches=(
        Switch(
            name="telluric_residual",
            largest=0.5,
            meaning="Rms error of the optical depth telluric lines are corrected by, e.g. 0.05.",
        ),
    ),
    stream="telluric",
    row=("telluric residual", "0", "`telluric`", "1.04"),
    budget="telluric",
    curve="telluric residual",
    shapes=_shapes,
)
