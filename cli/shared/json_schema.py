"""JSON Schemas of ``--json``: read from the package, made of documents, and held against them."""

import json
from collections.abc import Iterator
from functools import reduce
from importlib.resources import files
from typing import Any

__all__ = ["load_schema", "merged", "schema_names", "schema_of", "violations"]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
KINDS = {str: "string", bool: "boolean", int: "number", float: "number"}


def schema_names() -> list[str]:
    """Names of the documents that have a schema, sorted."""
    found = files("starsmith.cli.schemas").iterdir()
    return sorted(one.name.removesuffix(".json") for one in found if one.name.endswith(".json"))


def load_schema(name: str) -> dict:
    """JSON Schema of a document, by the name in its ``schema`` entry; KeyError if it has none."""
    path = files("starsmith.cli.schemas") / f"{name}.json"
    if not path.is_file():
        raise KeyError(name)
    return json.loads(path.read_text(encoding="utf-8"))


def schema_of(document: Any) -> dict:
    """Schema that a document fits: types, and entries that are always there.

    A number may be null, as infinite and undefined ones are.
    """
    if document is None:
        return {"type": ["null"]}
    if isinstance(document, dict):
        entries = {name: schema_of(value) for name, value in document.items()}
        return {"type": ["object"], "properties": entries, "required": sorted(entries)}
    if isinstance(document, list):
        items = [schema_of(one) for one in document]
        return {"type": ["array"], **({"items": reduce(merged, items)} if items else {})}
    kind = KINDS[type(document)]
    return {"type": ["null", "number"] if kind == "number" else [kind]}


def merged(first: dict, second: dict) -> dict:
    """Schema that whatever fits one of two fits."""
    result: dict[str, Any] = {"type": sorted({*first["type"], *second["type"]})}
    parts = [one for one in (first, second) if "properties" in one]
    if parts:
        names = sorted({name for one in parts for name in one["properties"]})
        found = {n: [p["properties"][n] for p in parts if n in p["properties"]] for n in names}
        result["properties"] = {name: reduce(merged, some) for name, some in found.items()}
        result["required"] = sorted(set.intersection(*(set(one["required"]) for one in parts)))
    items = [one["items"] for one in (first, second) if "items" in one]
    if items:
        result["items"] = reduce(merged, items)
    return result


def violations(document: Any, schema: dict, at: str = "$") -> Iterator[str]:
    """Where a document does not fit a schema of `schema_of`; nothing where it does."""
    kinds = {None.__class__: "null", dict: "object", list: "array", **KINDS}
    kind = kinds[type(document)]
    if kind not in schema["type"]:
        yield f"{at} is {kind}, expected {' or '.join(schema['type'])}"
        return
    if isinstance(document, dict):
        yield from (f"{at}.{n} is missing" for n in schema["required"] if n not in document)
        known = schema["properties"]
        for name in document.keys() & known.keys():
            yield from violations(document[name], known[name], f"{at}.{name}")
    elif isinstance(document, list) and "items" in schema:
        for k, one in enumerate(document):
            yield from violations(one, schema["items"], f"{at}[{k}]")
