"""docs/security.md claims nothing that no test shows, and what it says of all of the code is so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SOURCES = [file for folder in ("operator", "worker") for file in sorted((ROOT / folder).rglob("*.py"))]

#: Modules by which data becomes objects of any kind, and functions by which a text becomes code.
UNPICKLING = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
EVALUATING = {"eval", "exec", "compile", "unsafe_load", "full_load", "system", "popen"}


def claims(page: str) -> Iterator[tuple[str, str]]:
    """The tests that are named, each with the file that was linked last."""
    file = ""
    for link, test in re.findall(r"\]\(\.\./(tests/[\w/]+\.py)\)|`::(test_\w+)`", page):
        file = link or file
        if test:
            yield file, test


def test_every_claim_has_its_test() -> None:
    named = list(claims(PAGE))

    assert len(named) > 50
    assert [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ] == []


def test_every_row_names_a_test() -> None:
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and not re.match(r"\| (---|He wants|It wants)", line)
    ]

    assert len(rows) > 30
    assert [row for row in rows if "`::test_" not in row and "the same test" not in row] == []


def test_finds_a_claim_without_a_test() -> None:
    page = "[a](../tests/unit/test_plain.py)`::test_one`, `::test_two` and [b](../tests/unit/nowhere.py)`::test_three`"

    assert list(claims(page)) == [
        ("tests/unit/test_plain.py", "test_one"),
        ("tests/unit/test_plain.py", "test_two"),
        ("tests/unit/nowhere.py", "test_three"),
    ]


def test_nothing_here_unpickles_or_evaluates() -> None:
    assert [found for file in SOURCES for found in dangers(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "text", ["import pickle", "from marshal import loads", "eval('1')", "yaml.unsafe_load(text)", "os.system(text)"]
)
def test_finds_what_unpickles_or_evaluates(text: str) -> None:
    assert list(dangers(text)) == [text]


def dangers(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names) if {name.name.partition(".")[0] for name in names} & UNPICKLING:
                yield ast.unparse(node)
            case ast.ImportFrom(module=str(module), names=names) if module in UNPICKLING:
                if {name.name for name in names} != {"PickleError"}:
                    yield ast.unparse(node)
            case ast.Call(func=ast.Name(id=name)) if name in EVALUATING:
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os" | "yaml"), attr=name)) if name in EVALUATING | {
                "load"
            }:
                yield ast.unparse(node)
