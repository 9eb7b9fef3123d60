"""A report as Markdown with its figures beside it, and as one HTML file that needs nothing else."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.figure_kit import DPI
from starsmith.data_contract.text_tables import cell_text, is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Document", "Picture", "Section", "Table", "write_document"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto;
       padding: 0 1.2em; }
h1 { font-size: 1.7em; } h2 { margin-top: 2.2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; display: block;
        overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: 3px 9px; text-align: left; white-space: nowrap; }
th { background: #f3f3f3; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.2em 0; } img { max-width: 100%; height: auto; }
figcaption, .note { color: #555; font-size: 13px; } pre { background: #f6f6f6; padding: .6em; }
nav a { margin-right: 1em; } .notice { background: #fff3cd; padding: .5em .8em; }
"""


@dataclass(frozen=True)
class Table:
    """Rows under the names of the first one's entries, and a note below."""

    rows: Sequence[Mapping[str, object]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure, the name of its file and its caption."""

    name: str
    caption: str
    figure: object


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it: texts, tables and pictures."""

    title: str
    parts: Sequence[str | Table | Picture]

    @property
    def shown(self) -> list[str | Table | Picture]:
        """Parts that say something: no table without a row, as one model has none to compare."""
        return [part for part in self.parts if not isinstance(part, Table) or part.rows]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes
    ----------
    title, command, notice : str
        ``command`` is what made it; ``notice`` what every reader must know.
    facts : mapping of str to str
        Versions, hardware, sizes.
    sections : list of Section
    """

    title: str
    command: str
    notice: str
    facts: Mapping[str, str]
    sections: list[Section] = field(default_factory=list)


def _markdown_table(table: Table) -> str:
    names = list(table.rows[0])
    cells = [[cell_text(row[name]) for name in names] for row in table.rows]
    right = [all(is_number(row[k]) for row in cells) for k in range(len(names))]
    lines = [names, ["---:" if r else "---" for r in right], *cells]
    text = "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )
    return text + (f"\n\n{table.note}" if table.note else "")


def _html_table(table: Table) -> str:
    names = list(table.rows[0])
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = []
    for row in table.rows:
        cells = [cell_text(row[name]) for name in names]
        body.append(
            "<tr>"
            + "".join(
                f"<td{' class=number' if is_number(c) else ''}>{html.escape(c)}</td>" for c in cells
            )
            + "</tr>"
        )
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{note}"


def png_of(figure: "Figure") -> bytes:
    """Picture of a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    return buffer.getvalue()


def to_markdown(document: Document) -> str:
    """Markdown; pictures are named as files in ``figures/``."""
    lines = [f"# {document.title}", ""]
    if document.notice:
        lines += [f"> {document.notice}", ""]
    lines += ["```", document.command, "```", ""]
    lines += [f"- {name}: {text}" for name, text in document.facts.items()]
    for section in document.sections:
        lines += ["", f"## {section.title}", ""]
        for part in section.shown:
            if isinstance(part, Table):
                lines += [_markdown_table(part), ""]
            elif isinstance(part, Picture):
                lines += [
                    f"![{part.caption}](figures/{part.name}.png)",
                    "",
                    f"*{part.caption}*",
                    "",
                ]
            else:
                lines += [part, ""]
    return "\n".join(lines) + "\n"


def to_html(document: Document, pictures: Mapping[str, bytes]) -> str:
    """One HTML page with every picture inside it; no script, no request to anywhere."""
    links, body = [], []
    for k, section in enumerate(document.sections):
        links.append(f'<a href="#s{k}">{html.escape(section.title)}</a>')
        body.append(f'<h2 id="s{k}">{html.escape(section.title)}</h2>')
        for part in section.shown:
            if isinstance(part, Table):
                body.append(_html_table(part))
            elif isinstance(part, Picture):
                data = base64.b64encode(pictures[part.name]).decode()
                caption = html.escape(part.caption)
                body.append(
                    f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
                    f"<figcaption>{caption}</figcaption></figure>"
                )
            else:
                body.append(f"<p>{html.escape(part)}</p>")
    facts = "".join(
        f"<li>{html.escape(name)}: {html.escape(text)}</li>"
        for name, text in document.facts.items()
    )
    notice = f'<p class="notice">{html.escape(document.notice)}</p>' if document.notice else ""
    title = html.escape(document.title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1>{notice}<pre>{html.escape(document.command)}</pre><ul>{facts}</ul>"
        f"<nav>{' '.join(links)}</nav>{''.join(body)}</body></html>\n"
    )


def write_document(document: Document, folder: Path) -> None:
    """Write ``report.md``, ``figures/*.png`` and the self-contained ``report.html``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures").mkdir(exist_ok=True)
    pictures = {
        part.name: png_of(part.figure)
        for section in document.sections
        for part in section.parts
        if isinstance(part, Picture)
    }
    for name, content in pictures.items():
        (folder / "figures" / f"{name}.png").write_bytes(content)
    (folder / "report.md").write_text(to_markdown(document), encoding="utf-8")
    (folder / "report.html").write_text(to_html(document, pictures), encoding="utf-8")
