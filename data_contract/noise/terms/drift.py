"""Drift of the conditions between the exposures of a coadd."""

from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERM"]


def _refusal(_: float) -> str:
    return "--seeing-drift, --zenith-drift: ceilings are those of equal exposures; drop them"


TERM = Term(
    switches=(
        Switch(
            name="seeing_drift",
            largest=0.5,
            meaning="Largest fractional change of the seeing between exposures.",
        ),
        Switch(
            name="zenith_drift",
            largest=15.0,
            meaning="Largest change of the zenith angle [deg/h].",
        ),
    ),
    stream="drift",
    row=("drift of the conditions", "0", "`drift`", "8"),
    refusal=_refusal,
)
