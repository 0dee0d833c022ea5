"""The reference is what it was generated from, and has a word for everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from scripts.reference import DEFINITION, PAGES, PARTS, REFERENCE, VALUES, documented_values


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run `make reference`"


def test_every_value_of_the_chart_has_a_word_of_its_own_or_of_its_group() -> None:
    documented = {path: words for path, _, words in documented_values(VALUES.read_text())}

    assert set(documented) == set(_paths(yaml.safe_load(VALUES.read_text())))
    assert [path for path, words in documented.items() if not (words or documented[path.partition(".")[0]])] == []


def test_words_go_to_the_values_that_they_stand_above() -> None:
    text = "\n".join(
        [
            "# Of the file.",
            "",
            "# Of both.",
            "a: 1",
            "b: {}",
            "",
            "# Of all that follow.",
            "",
            "# Of the group.",
            "c:",
            "  d: true",
            "  # Of e.",
            '  e: ""',
            "  # Of the group within.",
            "  g:",
            "    # Of h.",
            "    h: 2",
            "    resources: {a: 1}",
            "f: []",
        ]
    )

    assert list(documented_values(text)) == [
        ("a", "1", "Of both."),
        ("b", "{}", "Of both."),
        ("c", None, "Of all that follow. Of the group."),
        ("c.d", "true", ""),
        ("c.e", '""', "Of e."),
        ("c.g", None, "Of the group within."),
        ("c.g.h", "2", "Of h."),
        ("c.g.resources", '{"a": 1}', ""),
        ("f", "[]", ""),
    ]


def test_every_field_of_the_worker_pool_is_in_the_reference_with_a_description() -> None:
    (version,) = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"]
    page = (REFERENCE / "workerpool.md").read_text()

    undescribed, missing = [], []
    for part in ("spec", "status"):
        for path, field in _fields(version["schema"]["openAPIV3Schema"]["properties"][part]):
            undescribed += [path] * ("description" not in field)
            named = f"`{path}`" if "." in path else f"### `{part}.{path}`"
            missing += [path] * (named not in page)
    assert (undescribed, missing) == ([], [])


def _paths(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield above + name
        if isinstance(value, dict) and name not in PARTS:
            yield from _paths(value, f"{above}{name}.")


def _fields(schema: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        path = above + name
        yield path, field
        yield from _fields(field, f"{path}.")
        yield from _fields(field.get("items", {}), f"{path}[].")
