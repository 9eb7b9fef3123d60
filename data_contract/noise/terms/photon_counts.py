"""Counted photons: Poisson counts in place of Gaussian noise of the same variance."""

from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERM"]

TERM = Term(
    switches=(
        Switch(
            name="counts",
            default="gaussian",
            choices=("gaussian", "poisson"),
            meaning="How photons are counted.",
        ),
    ),
    stream="read_noise",
    row=("photons counted", "`gaussian`", "`noise`, `read_noise`", "2.9"),
    at="poisson",
)
