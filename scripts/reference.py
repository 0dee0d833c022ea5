"""The pages of docs/reference, from what they are about: `make reference` writes them, a test holds them to it.

workerpool.md has every field of the WorkerPool, from its definition; values.md every value of the chart, from the
comments in its values.yaml, which are read as they are laid out there: above a value, above a group of values, or above
several that stand together.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from scripts.surface import surface_page

ROOT = Path(__file__).parents[1]
DEFINITION = ROOT / "crds" / "workerpool.yaml"
VALUES = ROOT / "charts" / "crewcall" / "values.yaml"
REFERENCE = ROOT / "docs" / "reference"

Schema = Mapping[str, Any]

#: Values that hold a part of a Pod's spec: shown as they are, not field by field.
PARTS = ("resources", "podSecurityContext")


def workerpool_page() -> str:
    """Every field of the WorkerPool."""
    (version,) = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    lines = [
        "# Reference: the WorkerPool",
        "",
        f"Every field of `crewcall.dev/{version['name']}`, from [its definition](../../crds/workerpool.yaml);",
        "written by `make reference`. What they are for is told in [the WorkerPool, field by field](../workerpool.md).",
    ]
    for part in ("spec", "status"):
        lines += ["", f"## `{part}`", "", schema[part]["description"]]
        lines += _rules(schema[part])
        for name, field in schema[part]["properties"].items():
            required = name in schema[part].get("required", ())
            lines += ["", f"### `{part}.{name}`", "", _sentence(field, is_required=required)]
            if rows := [_row(path, inner, needed) for path, inner, needed in _inner(field, name)]:
                lines += ["", "| Field | Type | Default | |", "| --- | --- | --- | --- |", *rows]
            lines += _rules(field)
    return "\n".join(lines) + "\n"


def values_page() -> str:
    """Every value of the chart."""
    rows = [
        f"| `{path}` | {_code(default)} | {_cell(words)} |"
        for path, default, words in documented_values(VALUES.read_text())
    ]
    return "\n".join(
        [
            "# Reference: the chart's values",
            "",
            "Every value of [the chart](../../charts/crewcall/README.md) with its default, from",
            "[values.yaml](../../charts/crewcall/values.yaml); written by `make reference`. By",
            "[values.schema.json](../../charts/crewcall/values.schema.json) Helm refuses a wrong one.",
            "",
            "| Value | Default | |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def documented_values(text: str) -> Iterator[tuple[str, Any, str]]:
    """Path, default and words of each value and group of values; a group's default is None."""
    defaults: dict[str, Any] = yaml.safe_load(text)
    # The words above the line; those of a paragraph by itself; and those of the line before, if nothing stands between.
    above: list[str] = []
    preface: list[str] = []
    before = ""
    within: list[str] = []
    for line in text.partition("\n\n")[2].splitlines():
        if comment := re.match(r" *# ?(.*)", line):
            above.append(comment[1])
        elif not line:
            preface, above, before = above, [], ""
        elif key := re.match(r"( *)(\w+):", line):
            path = [*within[: len(key[1]) // 2], key[2]]
            if set(path[:-1]) & set(PARTS):
                continue
            within, default = path, reduce(operator.getitem, path, defaults)
            is_group = isinstance(default, dict) and bool(default) and key[2] not in PARTS
            words = " ".join([*preface, *above])
            if len(path) == 1:
                words = words or before
                before = "" if is_group else words
            yield ".".join(path), None if is_group else json.dumps(default), words
            above, preface = [], []


def _inner(field: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """The fields within one, with their paths, and whether each must be there."""
    if "items" in field:
        yield from _inner(field["items"], f"{path}[]")
    for name, inner in field.get("properties", {}).items():
        yield f"{path}.{name}", inner, name in field.get("required", ())
        yield from _inner(inner, f"{path}.{name}")


def _row(path: str, field: Schema, is_required: bool) -> str:
    default = _code(json.dumps(field["default"])) if "default" in field else "required" if is_required else ""
    rules = "".join(f" Rule: {rule['message']}." for rule in field.get("x-kubernetes-validations", ()))
    return f"| `{path}` | {_type(field)} | {default} | {_cell(field.get('description', '') + rules)} |"


def _sentence(field: Schema, *, is_required: bool) -> str:
    """A field's type, default and description."""
    known = [_type(field)]
    if "default" in field:
        known.append(f"default {_code(json.dumps(field['default']))}")
    if is_required:
        known.append("required")
    return f"*{', '.join(filter(None, known))}.* {_cell(field.get('description', ''))}".rstrip()


def _rules(field: Schema) -> list[str]:
    rules = [rule["message"] for rule in field.get("x-kubernetes-validations", ())]
    return ["", "Rules:", "", *(f"- {' '.join(rule.split())}" for rule in rules)] if rules else []


def _type(field: Schema) -> str:
    """The type and its bounds, in words."""
    kind: str = field.get("type", "integer or string" if field.get("x-kubernetes-int-or-string") else "any")
    if "enum" in field:
        return " or ".join(f"`{word}`" for word in field["enum"])
    if kind == "array":
        inner = field["items"].get("type", "any")
        return f"{_between(field.get('minItems'), field.get('maxItems'))}{inner}s".strip()
    if "minimum" in field or "maximum" in field:
        return f"{kind}, {_between(field.get('minimum'), field.get('maximum'))}".rstrip(", ")
    return kind


def _between(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"at least {least} "
    return f"at most {most} " if least is None else f"{least} to {most} "


def _cell(words: str) -> str:
    """Words as one line of a table, in which nothing is taken for a border or for HTML."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "\\<")


def _code(words: str | None) -> str:
    return f"`{words}`" if words is not None else ""


PAGES = {"workerpool.md": workerpool_page, "values.md": values_page, "surface.md": surface_page}


def main() -> None:
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
