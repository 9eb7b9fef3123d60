"""ONE table of every quantity: name, unit, meaning, ranges, texts and other names of each.

Options and their help, the prior, columns, files, cards, figures and the user's tables are loops
over it: a quantity of a star or of the sky is added here, and where its physics is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starsmith.data_contract.spelling import letters_of

__all__ = [
    "CONDITIONS",
    "DUST",
    "FLUX_UNIT",
    "LABELS",
    "NOT_EVERYWHERE",
    "OBSERVED_SCALARS",
    "QUANTITIES",
    "SCENE",
    "SNR_EDGES",
    "SNR_KINDS",
    "SNR_STATISTICS",
    "SOMETIMES",
    "SPECVIT_SNR_EDGES",
    "SPLITS",
    "STAR",
    "UNITS",
    "Quantity",
    "moving",
    "named",
    "quantity_called",
    "reddened",
]

SPLITS = {"train": 0, "val": 1, "test": 2}
"""Split name -> last word of the random counter; splits can never share a draw."""

SNR_EDGES = (0.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.0, float("inf"))
"""Default edges of signal-to-noise bins [per pixel]."""

SNR_STATISTICS = ("snr", "snr_p95")
"""S/N of a spectrum: median and 95th percentile over pixels."""

SNR_KINDS = dict(zip(("median", "p95"), SNR_STATISTICS, strict=True))
"""Statistic over pixels -> the S/N of it."""

SPECVIT_SNR_EDGES = (2.5, 3.5, 4.5, 5.5, 6.5, 8.5, 12.5, 18.0, 28.0)
"""Bins of the SpecViT paper's logs; their S/N fits `snr_p95`, see docs/ceilings.md."""

OBSERVED_SCALARS = ("rv", "rv_error", "ra", "dec", "epoch")
"""What is kept of every observed spectrum, where it is known, beside its names and labels."""

FLUX_UNIT = "1e-17 erg s-1 cm-2 Angstrom-1"


@dataclass(frozen=True)
class Quantity:
    """What is known of one named quantity.

    Attributes
    ----------
    name : str
        Of columns, keys and, with dashes, options.
    unit : str
        As files write it; dimensionless is ``1``.
    meaning : str
        In data cards and as ``long_name`` of columns.
    kind : str
        ``label`` and ``star`` (drawn with the star), ``condition`` (of the sky and the exposure),
        or ``column`` (what comes out).
    symbol : str
        For axes of figures, unit included; the meaning where it is empty.
    default : (float, float), optional
        Range of the SpecViT paper, Table 2; every star and condition has one.
    limits : (float, float)
        What a range may contain at all; the grid and the instrument narrow it further.
    help : str
        Of the option.
    sometimes : bool
        Recorded only where a prior has it: of a star, zero everywhere else; a label, what is usual.
    aliases : tuple of str
        Other names in tables of other people; letters and digits alone matter, in any case.
    """

    name: str
    unit: str
    meaning: str
    kind: str = "column"
    symbol: str = ""
    default: tuple[float, float] | None = None
    limits: tuple[float, float] = (-10.0, 10.0)
    help: str = ""
    sometimes: bool = False
    aliases: tuple[str, ...] = ()


QUANTITIES = (
    Quantity(
        "teff",
        "K",
        "effective temperature",
        "label",
        r"$T_{\rm eff}$ [K]",
        (3750.0, 6000.0),
        (1000.0, 100000.0),
        "Effective temperature [K]",
        aliases=("t_eff", "temperature", "effective_temperature"),
    ),
    Quantity(
        "logg",
        "dex(cm s-2)",
        "surface gravity",
        "label",
        r"$\log g$ [dex]",
        (1.0, 5.0),
        help="Surface gravity log g [dex(cgs)]",
        aliases=("log_g", "log(g)", "gravity", "surface_gravity"),
    ),
    Quantity(
        "m_h",
        "dex",
        "metallicity [M/H]",
        "label",
        "[M/H] [dex]",
        (-2.5, 0.75),
        help="Metallicity [M/H] [dex]",
        aliases=("[m/h]", "feh", "fe_h", "[fe/h]", "metallicity"),
    ),
    Quantity(
        "a_m",
        "dex",
        "alpha enhancement [alpha/M]",
        "label",
        r"[$\alpha$/M] [dex]",
        (0.0, 0.0),
        help="[alpha/M] [dex]",
        aliases=("[alpha/m]", "alpha_m", "alpha_fe", "[alpha/fe]", "[a/m]", "afe", "[a/fe]"),
    ),
    Quantity(
        "c_m",
        "dex",
        "carbon enhancement [C/M]",
        "label",
        "[C/M] [dex]",
        (0.0, 0.0),
        help="[C/M] [dex]",
        aliases=("[c/m]", "c_fe", "[c/fe]"),
    ),
    Quantity(
        "mag",
        "mag(AB)",
        "apparent AB magnitude",
        "star",
        "AB magnitude",
        (20.5, 22.5),
        (-30.0, 40.0),
        "AB magnitude",
        aliases=("magnitude", "ab_mag", "mag_ab"),
    ),
    Quantity(
        "rv",
        "km s-1",
        "radial velocity, receding positive",
        "star",
        "radial velocity [km/s]",
        (0.0, 0.0),
        (-1000.0, 1000.0),
        "Radial velocity, receding positive [km/s]",
        sometimes=True,
        aliases=("vrad", "radial_velocity", "v_helio"),
    ),
    Quantity(
        "ebv",
        "mag",
        "reddening E(B-V) of the dust in front",
        "star",
        r"$E(B-V)$ [mag]",
        (0.0, 0.0),
        (0.0, 10.0),
        "Reddening E(B-V) [mag]",
        sometimes=True,
        aliases=("e_bv", "e(b-v)", "e_b_v"),
    ),
    Quantity(
        "vturb",
        "km s-1",
        "microturbulence",
        "label",
        r"$v_{\rm turb}$ [km/s]",
        (0.5, 4.0),
        (0.0, 10.0),
        "Microturbulence [km/s], of a grid with that axis",
        sometimes=True,
        aliases=("vmic", "vmicro", "v_turb", "microturbulence", "xi"),
    ),
    Quantity(
        "seeing",
        "arcsec",
        "seeing FWHM at 800 nm",
        "condition",
        "seeing [arcsec]",
        (0.5, 1.5),
        (0.0, 10.0),
        "Seeing FWHM at 800 nm [arcsec]",
    ),
    Quantity(
        "zenith_angle",
        "deg",
        "zenith angle of the target",
        "condition",
        "",
        (0.0, 45.0),
        (0.0, 90.0),
        "Zenith angle [deg]",
    ),
    Quantity(
        "field_angle",
        "deg",
        "angle from the field centre",
        "condition",
        "",
        (0.0, 0.65),
        (0.0, 10.0),
        "Angle from the field centre [deg]",
    ),
    Quantity(
        "moon_zenith_angle",
        "deg",
        "zenith angle of the moon",
        "condition",
        "",
        (30.0, 90.0),
        (0.0, 180.0),
        "Moon's zenith angle [deg]",
    ),
    Quantity(
        "moon_target_angle",
        "deg",
        "angle from moon to target",
        "condition",
        "",
        (60.0, 180.0),
        (0.0, 180.0),
        "Moon to target [deg]",
    ),
    Quantity(
        "moon_phase",
        "1",
        "moon phase: 0 new, 0.5 full",
        "condition",
        "",
        (0.0, 0.0),
        (0.0, 1.0),
        "Moon phase: 0 new, 0.5 full, 1 new",
    ),
    Quantity(
        "exp_time",
        "s",
        "time per exposure",
        "condition",
        "",
        (900.0, 900.0),
        (1.0, 1e6),
        "Seconds per exposure",
    ),
    Quantity(
        "exp_count",
        "1",
        "number of exposures",
        "condition",
        "",
        (12.0, 12.0),
        (1.0, 1e4),
        "Number of exposures",
    ),
    Quantity("index", "1", "draw key within the split"),
    Quantity("snr", "1", "median over pixels of noiseless flux over true noise"),
    Quantity("snr_p95", "1", "95th percentile over pixels of noiseless flux over true noise"),
    Quantity(
        "wave",
        "Angstrom",
        "wavelength of pixel centres",
        aliases=("wavelength", "lambda", "lam", "wl", "wvl", "wave_vac", "wavelength_vac", "λ"),
    ),
    Quantity(
        "flux",
        FLUX_UNIT,
        "observed flux density",
        aliases=("flux_density", "flam", "f_lambda", "flux_lambda", "fnu", "flux_nu", "fλ", "fν"),
    ),
    Quantity("flux_model", FLUX_UNIT, "noiseless flux density"),
    Quantity(
        "error",
        FLUX_UNIT,
        "honest 1 sigma error of flux",
        aliases=("err", "sigma", "flux_err", "flux_error", "e_flux", "uncertainty", "std"),
    ),
    Quantity(
        "mask",
        "1",
        "flags of the pixel, 0 where it is good",
        aliases=("flag", "flags", "and_mask", "pixmask", "badpix", "bad", "dq"),
    ),
    Quantity("source_id", "1", "name of the star: Gaia's, or minus a hash of the survey's own"),
    Quantity("targetid", "1", "DESI's name of the target"),
    Quantity("name", "1", "name of the spectrum, UTF-8"),
    Quantity("rv_error", "km s-1", "1 sigma of the radial velocity"),
    Quantity("ra", "deg", "right ascension, ICRS"),
    Quantity("dec", "deg", "declination, ICRS"),
    Quantity("epoch", "yr", "Julian year of the position"),
    *(
        Quantity(f"{name}_error", unit, f"1 sigma of {name}")
        for name, unit in (
            ("teff", "K"),
            *((name, "dex") for name in ("logg", "m_h", "a_m", "c_m")),
            ("vturb", "km s-1"),
        )
    ),
)


def _names(*kinds: str) -> tuple[str, ...]:
    return tuple(quantity.name for quantity in QUANTITIES if quantity.kind in kinds)


LABELS = _names("label")
"""Stellar labels, in the order of every label array."""

STAR = _names("label", "star")
"""What is drawn with a star: the word of its random block each is drawn from. New ones are
appended, so that existing draws stay what they are."""

CONDITIONS = _names("condition")
"""Observing conditions, in the order of every condition array."""

SCENE = tuple(quantity for quantity in QUANTITIES if quantity.default is not None)
"""Everything a prior has a range of."""

SOMETIMES = tuple(q.name for q in SCENE if q.sometimes and q.kind != "label")
"""What a star has besides labels, recorded only where a prior has it."""

NOT_EVERYWHERE = tuple(quantity.name for quantity in SCENE if quantity.sometimes)
"""Ranges that priors of before lack: these, and labels that few grids have."""

DUST = "ebv"
"""The quantity of a star that is the dust before it."""

UNITS = {quantity.name: quantity.unit for quantity in QUANTITIES}
"""Unit of every named quantity, written into every file."""


def named(name: str) -> Quantity:
    """Quantity of this name; KeyError for any other."""
    return _BY_NAME[name]


_BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}


def quantity_called(name: str) -> str | None:
    """Quantity of a name or alias in any case and punctuation: ``[Fe/H]`` -> ``m_h``; or None."""
    return _CALLED.get(letters_of(name))


_CALLED = {
    letters_of(name): quantity.name
    for quantity in QUANTITIES
    for name in (quantity.name, *quantity.aliases)
}


def moving(ranges: Mapping[str, Sequence[float]]) -> bool:
    """Whether stars drawn from these ranges have radial velocities."""
    return any(ranges.get("rv", ()))


def reddened(ranges: Mapping[str, Sequence[float]]) -> bool:
    """Whether there is dust before stars drawn from these ranges."""
    return any(ranges.get("ebv", ()))
