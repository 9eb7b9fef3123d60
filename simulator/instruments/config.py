"""Instrument files: TOML tables read into frozen dataclasses, and several joined into one."""

from dataclasses import MISSING, fields
from pathlib import Path

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.data_contract.spelling import alike, suggestion
from starsmith.simulator.instruments.instrument import BUILTIN, Instrument, JoinedInstrument
from starsmith.simulator.instruments.parts import Arm, Atmosphere, Fibre, Optics, Sky, Telescope

__all__ = ["Instrument", "JoinedInstrument", "list_instruments", "load_instrument"]

SCHEMA = 1
COMBINATIONS = {
    "pfs_lr": ("Subaru/PFS, low resolution: blue, red and near infrared", "b+r+n"),
}
LETTERS = {"b": "pfs_b", "r": "pfs_r", "m": "pfs_mr", "n": "pfs_n", "pfs": "pfs_mr"}
OPTIONAL_KEYS = {"dust_table"}


def _build(kind: type, table: dict, where: str):
    """Dataclass from a TOML table; unknown, missing and impossible keys refused by name."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}, expected a table; see pfs_mr.toml")
    known = {field.name: field for field in fields(kind)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(f"{where} has unknown key(s) {unknown}; known are {sorted(known)}")
    if missing := sorted(needed - set(table)):
        raise ConfigError(f"{where} lacks key(s) {missing}; copy them from pfs_mr.toml")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    for name, value in values.items():
        _check_type(known[name], value, where)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_type(field, value, where: str) -> None:
    kinds: dict[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}
    if field.type in kinds:
        fits, expected = isinstance(value, kinds[field.type]), field.type.__name__
    elif field.type is Optics:
        return
    else:
        numbers = value if isinstance(value, tuple) else ("",)
        fits, expected = all(isinstance(v, (int, float)) for v in numbers), "a list of numbers"
    if not fits or isinstance(value, bool):
        raise ConfigError(f"{where}: {field.name} is {value!r}, expected {expected}")


def _build_arm(table: dict, where: str) -> Arm:
    where = f"{where}: [[arm]] {table.get('name', '?')!r}"
    if "optics" not in table:
        raise ConfigError(f"{where} lacks its table [arm.optics]; copy it from pfs_mr.toml")
    optics = _build(Optics, table["optics"], f"{where} [arm.optics]")
    lsf = table.get("lsf", "gaussian")
    tables = lsf if isinstance(lsf, dict) else {"table": lsf}
    if "table" not in tables or not set(tables) <= {"table", "coefficients"}:
        raise ConfigError(
            f'{where}: lsf is {lsf}, expected {{table = "file"}}, and coefficients = "file" '
            "beside it where that holds components"
        )
    own = {"lsf": tables["table"]}
    if "coefficients" in tables:
        own["lsf_coefficients"] = tables["coefficients"]
    return _build(Arm, {**table, "optics": optics, **own}, where)


def list_instruments() -> tuple[str, ...]:
    """Names of the built-in instruments, combinations of arms included."""
    return tuple(sorted({path.stem for path in BUILTIN.glob("*.toml")} | set(COMBINATIONS)))


def load_instrument(name: str | Path) -> Instrument | JoinedInstrument:
    """Read a built-in instrument by name, an instrument file by path, or several joined by ``+``.

    Parameters
    ----------
    name : str or Path
        One of `list_instruments`; a file ending in ``.toml``, whose tables lie beside it or are
        those of the built-in instruments; or several of either, such as ``b+m+n`` or
        ``pfs_b+mine.toml``. The letters b, r, m and n stand for PFS's arms, ``PFS`` for
        ``pfs_mr``; case and punctuation of built-in names do not matter.

    Returns
    -------
    instrument : Instrument or JoinedInstrument
        Joined, where there is more than one name.

    Raises
    ------
    ConfigError
        If the file is missing, a key is unknown, missing or impossible (it is named), or the
        arms do not belong to one telescope.

    Examples
    --------
    >>> instrument = starsmith.load_instrument("pfs_mr")
    >>> instrument.wave.size
    4096
    """
    text = str(name)
    if not Path(text).exists():
        text = alike(text, (*list_instruments(), *LETTERS)) or text
    if text in COMBINATIONS:
        description, members = COMBINATIONS[text]
        joined = _join(members, text)
        return JoinedInstrument(name=text, description=description, members=joined)
    if "+" in text and not Path(text).is_file():
        joined = _join(text, text)
        description = " + ".join(member.description for member in joined)
        return JoinedInstrument(name=text, description=description, members=joined)
    return _load_file(text)


def _join(names: str, whole: str) -> tuple[Instrument, ...]:
    """Every named instrument; those that are joined themselves give their members."""
    members: list[Instrument] = []
    for name in names.split("+"):
        if not name:
            raise ConfigError(f"instrument {whole!r} has an empty name beside a +; drop the +")
        one = load_instrument(name)
        members.extend(one.members if isinstance(one, JoinedInstrument) else (one,))
    return tuple(members)


def _load_file(name: str) -> Instrument:
    builtin = LETTERS.get(name, name)
    path = BUILTIN / f"{builtin}.toml" if builtin in list_instruments() else Path(name)
    if not path.exists():
        raise ConfigError(
            f"instrument {name!r} is neither built in ({', '.join(list_instruments())}) nor a "
            f"file{suggestion(name, list_instruments())}; give one of these "
            "names, the path of a .toml file, or several joined by +"
        )
    return _build_instrument(read_toml(path, ConfigError), path)


def _build_instrument(document: dict, path: Path) -> Instrument:
    parts = {"telescope": Telescope, "fibre": Fibre, "atmosphere": Atmosphere, "sky": Sky}
    known = {"schema", "name", "description", "arm", *parts}
    if problems := sorted((known ^ set(document)) - OPTIONAL_KEYS):
        raise ConfigError(f"{path} has unknown or missing key(s) {problems}; see pfs_mr.toml")
    if document["schema"] != SCHEMA:
        raise ConfigError(f"{path}: schema is {document['schema']!r}, this version reads {SCHEMA}")
    for key in ("name", "description", *(OPTIONAL_KEYS & set(document))):
        if not isinstance(document[key], str):
            raise ConfigError(f"{path}: {key} is {document[key]!r}, expected str")
    arm = document["arm"]
    if not isinstance(arm, list) or not arm or not all(isinstance(one, dict) for one in arm):
        raise ConfigError(f"{path}: expected at least one [[arm]] table; see pfs_mr.toml")
    shared = {key: _build(kind, document[key], f"{path}: [{key}]") for key, kind in parts.items()}
    arms = tuple(_build_arm(table, str(path)) for table in arm)
    optional = {key: document[key] for key in OPTIONAL_KEYS & set(document)}
    try:
        return Instrument(
            name=document["name"],
            description=document["description"],
            **shared,
            **optional,
            arms=arms,
            folder=path.parent,
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
