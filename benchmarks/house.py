"""How the house stands: sizes, signatures and how often one word is spelled, before and after.

python -m benchmarks.house                     this checkout
python -m benchmarks.house --before v0.1.0     beside another commit
"""

import argparse
import ast
import subprocess
import tempfile
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("api", "data_contract", "simulator", "fisher", "learners", "cli")
WORDS = ("ebv", "telluric", "sky_floor", "cosmic_rays")
KINDS = ("ridge", "lightgbm", "template", "gridposterior", "trees")
REGISTRY = ("learners/estimators/", "learners/networks/registry.py")


def product_files(root: Path) -> list[Path]:
    """Every Python file of the product, in order of name."""
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Every function and method."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def body_lines(function: ast.FunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def arguments(function: ast.FunctionDef) -> list[ast.arg]:
    """All arguments but ``self`` and ``cls``."""
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    return [argument for argument in named if argument.arg not in ("self", "cls")]


def is_kernel(function: ast.FunctionDef, path: Path) -> bool:
    """Whether numba compiles it: those carry their types in the docstring."""
    return "kernels" in path.parts or any("jit" in ast.dump(d) for d in function.decorator_list)


def annotated(function: ast.FunctionDef) -> bool:
    """Whether each argument and the result of a public function has a type."""
    return all(argument.annotation for argument in arguments(function)) and (
        function.returns is not None or function.name == "__init__"
    )


def is_star_packed(call: ast.Call, packed: set[str]) -> bool:
    """Whether a call unpacks a tuple that was made above it."""
    return any(
        isinstance(a, ast.Starred) and isinstance(a.value, ast.Name) and a.value.id in packed
        for a in call.args
    )


def star_packed(tree: ast.AST) -> int:
    """Calls that unpack a tuple literal assigned in the same function."""
    count = 0
    for function in functions(tree):
        packed = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
        count += sum(is_star_packed(call, packed) for call in calls)
    return count


def comment_lines(text: str) -> int:
    """Lines that hold a comment, trailing ones too."""
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def strings(tree: ast.AST) -> set[str]:
    """Names, attributes and string constants of a file, docstrings excepted."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            found.add(node.arg)
    return found


def kind_branches(tree: ast.AST) -> int:
    """Comparisons with the name of a model's kind."""
    return sum(
        any(isinstance(c, ast.Constant) and c.value in KINDS for c in ast.walk(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
    )


def measure(root: Path) -> dict[str, float]:
    """Every figure of one checkout."""
    files = product_files(root)
    texts = {path: path.read_text() for path in files}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    every = [(f, path.relative_to(root)) for path, tree in trees.items() for f in functions(tree)]
    public = [f for f, path in every if f.name[0] != "_" and not is_kernel(f, path)]
    lines = [text.count("\n") for text in texts.values()]
    bodies = [body_lines(f) for f, _ in every]
    words = {path: strings(tree) for path, tree in trees.items()}
    outside = [p for p in files if not str(p.relative_to(root)).startswith(REGISTRY)]
    return {
        "files": len(files),
        "lines": sum(lines),
        "longest file": max(lines),
        "body p90": float(np.percentile(bodies, 90)),
        "body max": max(bodies),
        "most arguments": max(len(arguments(f)) for f, _ in every),
        "functions of more than 8 arguments": sum(len(arguments(f)) > 8 for f, _ in every),
        "public functions annotated [%]": 100 * np.mean([annotated(f) for f in public]),
        "comment lines [%]": 100 * sum(map(comment_lines, texts.values())) / sum(lines),
        "star-packed calls": sum(map(star_packed, trees.values())),
        "public functions with **": sum(f.args.kwarg is not None for f in public),
        **{f"files that spell {w}": sum(w in found for found in words.values()) for w in WORDS},
        "branches on a model's kind": sum(kind_branches(trees[path]) for path in outside),
    }


def checkout(commit: str, folder: Path) -> Path:
    """Unpack the product's files of a commit into a folder."""
    held = subprocess.run(
        ["git", "-C", ROOT, "ls-tree", "--name-only", commit], capture_output=True, text=True
    ).stdout.split()
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", commit, *(f for f in FOLDERS if f in held)],
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def main() -> None:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", help="a commit to stand beside this checkout")
    before = parser.parse_args().before
    now = measure(ROOT)
    if before:
        with tempfile.TemporaryDirectory() as folder:
            then = measure(checkout(before, Path(folder)))
    print("| figure |" + (f" {before} |" if before else "") + " now |")
    print("| --- |" + (" ---: |" if before else "") + " ---: |")
    for name, value in now.items():
        print(f"| {name} |" + (f" {then[name]:,.5g} |" if before else "") + f" {value:,.5g} |")


if __name__ == "__main__":
    main()
