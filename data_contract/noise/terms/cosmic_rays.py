"""Cosmic rays: exposures lost in the pixels that they hit."""

from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERM"]


def _lost(rate: float, conditions, key, n_wave: int, realisation: int):
    from starsmith.data_contract.noise.cosmic_rays import lost_exposures

    return lost_exposures(rate, conditions, key, n_wave, realisation)


def _refusal(rate: float) -> str:
    return f"--cosmic-rays {rate:g}: ceilings are those of spectra without; drop it"


TERM = Term(
    switches=(
        Switch(
            name="cosmic_rays",
            largest=1.0,
            meaning="Hits per cm2 and second; 0.017 at sea level.",
        ),
    ),
    stream="cosmic_rays",
    row=("cosmic rays", "0", "`cosmic_rays`", "2.5"),
    lost=_lost,
    refusal=_refusal,
)
