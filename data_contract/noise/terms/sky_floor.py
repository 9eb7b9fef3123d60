"""What sky subtraction leaves: the calculator's floor, the same correlated, or nothing."""

from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERM"]


def _modes(tables, conditions):
    from starsmith.data_contract.noise.modes import floor_modes

    return floor_modes(tables, conditions)


def _applied(tables, value: str):
    return tables.without_floor if value == "none" else tables


TERM = Term(
    switches=(
        Switch(
            name="sky_floor",
            default="independent",
            choices=("independent", "correlated", "none"),
            meaning="What sky subtraction leaves: the calculator's floor, the same correlated, or "
            "nothing.",
        ),
    ),
    stream="sky_residual",
    row=("sky-subtraction floor", "`independent`", "`noise`; `sky_residual`", "1.08"),
    at="correlated",
    budget="floor_correlated",
    curve="sky floor",
    modes=_modes,
    applied=_applied,
)
