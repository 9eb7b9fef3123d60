"""A report as Markdown with its figures beside it, and as one HTML file that needs nothing else."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.text_tables import cell_text, is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Document", "Picture", "Section", "Table", "write_document"]

TEMPLATE = Path(__file__).with_name("report.html")
SCREEN_DPI = 180  # 1280 pixels for a figure as wide as a page
LONG = 24  # characters of a cell that may be broken into lines
SORT = """
const h = event.target.closest('th'); if (!h) return;
const t = h.closest('table'), b = t.tBodies[0], k = h.cellIndex;
const up = h.getAttribute('aria-sort') !== 'ascending';
for (const o of h.parentNode.cells) o.removeAttribute('aria-sort');
h.setAttribute('aria-sort', up ? 'ascending' : 'descending');
const v = r => { const x = r.cells[k].textContent, n = parseFloat(x);
  return isNaN(n) ? x : n; };
[...b.rows].sort((p, q) => { const x = v(p), y = v(q);
  const both = typeof x === typeof y, c = both ? (x < y ? -1 : x > y ? 1 : 0)
  : (typeof x === 'number' ? -1 : 1); return up || !both ? c : -c; })
  .forEach(r => b.appendChild(r));
"""
"""What a click on the head of a column does: sort its table. In the page itself, no script."""


@dataclass(frozen=True)
class Table:
    """Rows under the names of the first one's entries, and a note below."""

    rows: Sequence[Mapping[str, object]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure, the name of its file, its caption, and what is seen, for who does not.

    Without ``alt`` the caption stands in for it.
    """

    name: str
    caption: str
    figure: object
    alt: str = ""


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
    conclusion : sequence of str
        What was found, in a few sentences: they come first.
    """

    title: str
    command: str
    notice: str
    facts: Mapping[str, str]
    sections: list[Section] = field(default_factory=list)
    conclusion: Sequence[str] = ()


def _markdown_table(table: Table) -> str:
    names = list(table.rows[0])
    cells = [[cell_text(row[name]) for name in names] for row in table.rows]
    right = [all(is_number(row[k]) for row in cells) for k in range(len(names))]
    lines = [names, ["---:" if r else "---" for r in right], *cells]
    text = "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )
    return text + (f"\n\n{table.note}" if table.note else "")


@dataclass(frozen=True)
class _Cells:
    """A table as the page's template takes it: names of columns, and text and kind of cells."""

    names: list[str]
    rows: list[list[dict[str, str]]]

    @classmethod
    def of(cls, table: Table) -> "_Cells":
        """Cells of a table."""
        names = list(table.rows[0])
        return cls(names, [[_cell(row[name]) for name in names] for row in table.rows])


def _cell(value: object) -> dict[str, str]:
    text = cell_text(value)
    kind = "number" if is_number(text) else "text" if len(text) > LONG else ""
    return {"text": text, "kind": kind}


def png_of(figure: "Figure") -> bytes:
    """Picture of a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=SCREEN_DPI, format="png")
    return buffer.getvalue()


def to_markdown(document: Document) -> str:
    """Markdown; pictures are named as files in ``figures/``."""
    lines = [f"# {document.title}", ""]
    if document.notice:
        lines += [f"> {document.notice}", ""]
    for text in document.conclusion:
        lines += [f"**{text}**", ""]
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
    """One HTML page with every picture inside it, conclusion first; it asks nobody for anything.

    It is light or dark as its reader's system is, fits narrow screens, and sorts a table by the
    column whose head is clicked.
    """
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    encoded = {name: base64.b64encode(content).decode() for name, content in pictures.items()}
    return page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        document=document, pictures=encoded, cells=_Cells.of, sort=" ".join(SORT.split())
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
