"""The page as one HTML file: its controls, texts and arrays, with nothing fetched from anywhere."""

import json
import re
from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template

import numpy as np

from starsmith.cli.explore.page_data import PageBank, page_bank
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import CONDITIONS, DUST, LABELS, named
from starsmith.fisher.information.density import FEATURES

__all__ = ["MOST_BYTES", "Page", "build_page", "check_size"]

HERE = Path(__file__).parent
MOST_BYTES = 5_000_000  # of a file that is mailed and opened on a phone
PALETTE = ("#E69F00", "#56B4E9", "#F0E442", "#D55E00", "#CC79A7", "#7f7f7f", "#c0c0c0")
"""Of the terms of the variance, told apart by colour-blind readers (Okabe & Ito 2008)."""
GOALS = {"rv": 5.0, "teff": 100.0, "logg": 0.3, "m_h": 0.2, "a_m": 0.1, "c_m": 0.2}
TEXTS = {"teff": "Teff", "logg": "log g", "a_m": "[α/M]", "rv": "velocity"}
UNIT_TEXTS = {"teff": "K", "rv": "km/s"}
STAR = {"teff": 4750.0, "logg": 2.5, "m_h": -1.0, "mag": 21.0}
SKY = {
    "seeing": (0.8, 0.01),
    "zenith_angle": (35.0, 0.5),
    "field_angle": (0.45, 0.01),
    "moon_phase": (0.0, 0.01),
    "moon_zenith_angle": (45.0, 1.0),
    "moon_target_angle": (60.0, 1.0),
}
"""Where the sliders of the sky begin, and their steps."""
EXPOSURE = {"exp_time": (900.0, 60.0, 3600.0, 10.0), "exp_count": (12.0, 1.0, 48.0, 1.0)}
RV_MOST = 300.0  # [km/s]; further, pixels beyond the arm would be seen
MAG_SPAN = (14.0, 25.0)
AIR_BANDS = ((6867.0, 6944.0), (7164.0, 7323.0), (7593.0, 7690.0), (8131.0, 8345.0))
"""Where the air absorbs, vacuum Å: O2 B and A, H2O (Kurucz et al. 1984, solar flux atlas)."""


class Page(str):
    """Text of a page; a notebook shows the page itself."""

    def _repr_html_(self) -> str:
        style = "width:100%;height:1000px;border:0"
        return f'<iframe srcdoc="{escape(self)}" style="{style}"></iframe>'


def build_page(
    bank: Bank,
    source: Mapping[str, str],
    upload: bool = False,
) -> Page:
    """Page of a bank: one file, or in a notebook the last line of a cell.

    Parameters
    ----------
    bank : Bank
        With reddening tables.
    source : mapping of str to str
        Options that name the bank, e.g. ``grid`` and ``instrument``: what the commands shown
        on the page are given.
    upload : bool
        Whether there is a server that answers with the estimates of models.

    Returns
    -------
    page : Page

    Raises
    ------
    ConfigError
        If the bank needs more than 320 modes.
    """
    arrays = page_bank(bank)
    name = f"{bank.instrument.get('name', 'instrument')}, grid {bank.grid.get('name', '')}"
    page = _page(bank, source, arrays)
    # a closing tag inside the data would end the script
    data = json.dumps(page, separators=(",", ":")).replace("<", "\\u003c")
    text = Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"starsmith explore: {name}"),
        notice=escape(bank.notice),
        columns=",".join((*bank.label_names, "mag")),
        accuracy=_accuracy(arrays),
        upload=UPLOAD if upload else "",
        page=data,
        **{
            name: (HERE / file).read_text(encoding="utf-8")
            for name, file in (
                ("style", "page.css"),
                ("model", "model.js"),
                ("view", "view.js"),
            )
        },
    )
    return Page(text)


UPLOAD = (
    "<p><label>spectrum of a star (any file that <code>specdata ingest</code> reads) "
    '<input type="file" id="spectra"></label></p><table><thead><tr><th>spectrum<th>by<th>label'
    '<th>value<th>1σ<th>remarks</thead><tbody id="estimates"></tbody></table>'
)


def check_size(html: str) -> None:
    """Raise ConfigError where a page is too large to be one file."""
    size = len(html.encode())
    if size > MOST_BYTES:
        raise ConfigError(
            f"this page would be {size / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:g} MB make a file; "
            "take one arm by --instrument, or leave --page out"
        )


def _accuracy(page: PageBank) -> str:
    return escape(
        f"{page.n_mode} modes of the bank hold 99.9 % of the pixels to {page.errors['flux']:.1e} "
        f"and every bound to {page.errors['sigma']:.1e}, relative, on stars all over the grid. "
        f"starsmith {version('starsmith')}. Nothing on this page leaves it."
    )


def _page(bank: Bank, source: Mapping[str, str], arrays: PageBank) -> dict:
    """What the script is given: every name, text, range and array."""
    options = "".join(f" --{name.replace('_', '-')} {value}" for name, value in source.items())
    return {
        "labels": [{"name": name} for name in bank.label_names],
        "targets": [
            {"name": name, "text": _text(name), "unit": _unit(name), "goal": GOALS[name]}
            for name in (*bank.label_names, "rv")
        ],
        "groups": _groups(bank),
        "conditions": list(CONDITIONS),
        "arms": [{"name": arm.name or "all"} for arm in bank.noise.arms],
        "bands": AIR_BANDS,
        "lines": [
            (re.split(" triplet| P1", name)[0], 0.5 * (low + high))
            for name, windows in FEATURES.items()
            for low, high in windows
        ],
        "palette": PALETTE,
        "options": options,
        "bank": ", ".join(f'{name}="{value}"' for name, value in source.items()),
        "arrays": arrays.arrays,
        "data": arrays.base64(),
    }


def _text(name: str) -> str:
    return TEXTS.get(name) or named(name).symbol.partition(" [")[0]


def _unit(name: str) -> str:
    return UNIT_TEXTS.get(name, "dex")


def _groups(bank: Bank) -> list[dict]:
    """Controls in three groups, each within what the bank and its noise tables know."""
    labels = [
        _control(name, STAR.get(name, 0.0), (nodes[0], nodes[-1]), 10.0 if name == "teff" else 0.01)
        for name, nodes in zip(bank.label_names, bank.axes, strict=True)
    ]
    star = [*labels, _control("mag", STAR["mag"], MAG_SPAN, 0.05)]
    star += [_control("rv", 0.0, (-RV_MOST, RV_MOST), 1.0)]
    if bank.reddening is not None:
        star += [_control(DUST, 0.0, (0.0, getattr(bank.reddening, DUST)[-1]), 0.01)]
    tables = bank.noise
    spans = {
        "seeing": (tables.seeing[0], tables.seeing[-1]),
        "zenith_angle": (tables.zenith_angle[0], tables.zenith_angle[-1]),
        "field_angle": (tables.field_angle[0], tables.field_angle[-1]),
        "moon_phase": (0.0, 1.0),
        "moon_zenith_angle": (0.0, 90.0),
        "moon_target_angle": (0.0, 180.0),
    }
    sky = [_control(name, value, spans[name], step) for name, (value, step) in SKY.items()]
    exposure = [
        _control(name, value, (low, high), step)
        for name, (value, low, high, step) in EXPOSURE.items()
    ]
    return [
        {"name": name, "controls": controls}
        for name, controls in (("Star", star), ("Sky", sky), ("Exposure", exposure))
    ]


def _control(name: str, value: float, span: tuple[float, float], step: float) -> dict:
    low, high = float(span[0]), float(span[1])
    text = f"{_text(name)} [{_unit(name)}]" if name in LABELS else named(name).help
    value = float(np.clip(value, low, high))
    return {"name": name, "text": text, "value": value, "low": low, "high": high, "step": step}
