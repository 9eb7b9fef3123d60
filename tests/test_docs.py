"""Documentation names things that exist, in sentences that are short enough to read."""

import re
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("api", "data_contract", "simulator", "fisher", "learners", "cli")
MADE = {ROOT / "docs" / name for name in ("build", "generated")}  # by `make docs`
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(p for p in (ROOT / "docs").rglob("*.md") if not MADE & set(p.parents)),
    ]
)
TICKED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:{'|'.join((*FOLDERS, 'tests', 'benchmarks', 'docs'))})(?:/[\w.-]+)*/?")
DOTTED = re.compile(r"[a-z_]\w*(?:\.[A-Za-z_]\w*)+")
FILE_ENDINGS = {
    *("toml", "zarr", "ecsv", "csv", "fits", "json", "jsonl", "txt", "h5"),
    *("md", "png", "html", "safetensors"),
}

MARKDOWN = MarkdownIt("commonmark").enable("table")
NO_PROSE = re.compile(r"\A---\n.*?\n---\n|^:::.*?^:::$", re.DOTALL | re.MULTILINE)
ONE_WORD = {"code_inline": "CODE", "html_inline": "", "softbreak": " "}
FORMULA = re.compile(r"\$[^$]+\$| [=≈~≤≥<>+−×·/…±→∝-]+ ")
END = re.compile(
    r"(?<!e\.g)(?<!i\.e)(?<!et al)(?<!eq)(?<!Fig)(?<!vs)[.!?]\W* (?=[^\W\d_a-zα-ω]|[\"'“([])"
)
MOST_WORDS = 30


@cache
def keys_and_schemas():
    """First words of dotted keys in instrument files, and names of file formats in the code."""
    instrument = tomllib.loads((ROOT / "simulator/instruments/pfs_mr.toml").read_text())
    tables = [t for t in instrument.values() if isinstance(t, dict)]
    keys = {*instrument, *(key for table in tables for key in table)}
    code = "".join(p.read_text() for f in FOLDERS[1:] for p in (ROOT / f).rglob("*.py"))
    return keys, set(re.findall(r'"(starsmith\.\w+)"', code))


def modules_by_stem():
    """Dotted name of every module below cli whose file name occurs once."""
    found = {}
    for folder in FOLDERS[1:-1]:
        for path in (ROOT / folder).rglob("*.py"):
            name = ".".join(("starsmith", *path.relative_to(ROOT).with_suffix("").parts))
            found.setdefault(path.stem, []).append(name)
    return {stem: names[0] for stem, names in found.items() if len(names) == 1}


def resolves(dotted):
    """Whether a dotted name is a module, or an attribute reached from one."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        try:
            spec = find_spec(".".join(parts[:n]))
        except (ModuleNotFoundError, ValueError):
            continue
        if spec is None:
            continue
        thing = import_module(".".join(parts[:n]))
        for name in parts[n:]:
            fields = getattr(thing, "__dataclass_fields__", {})
            if not hasattr(thing, name) and name not in fields:
                return False
            thing = getattr(thing, name, None)
        return True
    return False


def problems(page):
    """What a page names and nobody finds."""
    stems, text = modules_by_stem(), page.read_text()
    keys, schemas = keys_and_schemas()
    for token in TICKED.findall(text):
        word = token.split("(")[0].strip()
        if PATH.fullmatch(word) and "/" in word:
            if not (ROOT / word).exists():
                yield word
        elif DOTTED.fullmatch(word) and word.rpartition(".")[2] not in FILE_ENDINGS:
            first, _, rest = word.partition(".")
            if first in keys or word in schemas:
                continue
            if (first == "starsmith" and not resolves(word)) or (
                first in stems and rest != "py" and not resolves(f"{stems[first]}.{rest}")
            ):
                yield word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page):
    """A path is a file or folder of the checkout; a dotted name can be imported or reached."""
    assert sorted(set(problems(page))) == []


def test_a_wrong_name_is_found(tmp_path):
    """The test can fail: a path and two names that do not exist are all three reported."""
    page = tmp_path / "page.md"
    page.write_text(
        "`data_contract/nowhere.py` `starsmith.fisher.nothing` `philox.nothing` `a.toml`"
    )
    assert sorted(problems(page)) == [
        "data_contract/nowhere.py",
        "philox.nothing",
        "starsmith.fisher.nothing",
    ]


def sentences(text):
    """Sentences of paragraphs and lists; code and a formula (`a = b / c`) are one word each."""
    for before, token in pairwise(MARKDOWN.parse(NO_PROSE.sub("", text))):
        if before.type == "paragraph_open":
            plain = "".join(ONE_WORD.get(t.type, t.content) for t in token.children)
            yield from END.sub("\n", FORMULA.sub("_", plain)).split("\n")


def long_sentences(text):
    """Word count and beginning of every sentence that is too long."""
    for sentence in sentences(text):
        words = [w for w in sentence.split() if re.search(r"\w", w)]
        if len(words) > MOST_WORDS:
            yield f"{len(words)} words: {' '.join(words[:10])} ..."


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_no_sentence_is_longer_than_30_words(page):
    """A colon or a semicolon does not end a sentence; tables, headings and code have none."""
    assert list(long_sentences(page.read_text())) == []


def test_a_long_sentence_is_found():
    """One word too many is, in a paragraph and a list; what is no sentence is not."""
    most = " ".join(["word"] * MOST_WORDS)
    assert list(long_sentences(f"{most}. `a b` ends. One = two + {most[5:]}")) == []
    assert list(long_sentences(f"# {most} {most}\n\n| {most} |\n|---|\n| {most} {most} |")) == []
    assert list(long_sentences(f"```\n{most} {most}\n```\n:::{{note}}\n{most} x\n:::")) == []
    for text in (f"{most}; `a b`.", f"* {most}\n  more, e.g. This.", f"[{most}](x) (see Fig. 1)."):
        (found,) = long_sentences(text)
        assert found.startswith("3")


def test_the_site_lists_every_name_of_the_face_and_every_page():
    """Nothing public is missing from the reference, and no page is out of reach."""
    face = (ROOT / "api" / "__init__.pyi").read_text()
    names = {name for name, here in re.findall(r"import (\w+) as (\w+)", face) if name == here}
    listed = set(re.findall(r"^   (\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
    assert names - set(FOLDERS) == listed
    docs = ROOT / "docs"
    pages = [p for p in PAGES if docs in p.parents]
    reached = {
        (page.parent / f"{entry}.md").resolve()
        for page in pages
        for block in re.findall(r"```{toctree}\n(.*?)```", page.read_text(), re.DOTALL)
        for entry in re.findall(r"^[\w./]+$", block, re.MULTILINE)
    }
    assert set(pages) - {docs / "index.md"} == reached
