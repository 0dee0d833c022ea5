"""The documents say what is there: links lead somewhere, and commands and options that are named exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
import yaml

from crewcall_operator.api.spec import read_pool
from crewcall_operator.cli import main as crewcall
from crewcall_worker.cli import main as crewcall_worker

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("charts/*/*.md"))]
DECISIONS = sorted(ROOT.glob("docs/adr/[0-9]*.md"))
TESTS = {
    name for file in ROOT.glob("tests/*/test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
}
PROGRAMS = {"crewcall": crewcall, "crewcall-worker": crewcall_worker}

PARTS = [
    "The question",
    "What was decided",
    "Why",
    "What else was weighed",
    "What would make us change our mind",
]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [link for link in links(page.read_text(encoding="utf-8")) if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = {target for line in code(page.read_text(encoding="utf-8")) for target in make_targets(line)}

    assert named - there_are_targets() == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    assert [wrong for line in code(page.read_text(encoding="utf-8")) for wrong in unknown(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    assert set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))) <= TESTS


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_workerpool_that_is_shown_is_a_valid_one(page: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    resources = [yaml.safe_load(block) for block in blocks if "kind: WorkerPool" in block]

    assert [read_pool(resource).key.name for resource in resources] == [
        resource["metadata"]["name"] for resource in resources
    ]


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/*.yaml")), ids=_name)
def test_every_example_is_of_valid_workerpools(file: Path) -> None:
    resources = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))

    assert [read_pool(resource).key.name for resource in resources] == [it["metadata"]["name"] for it in resources]


@pytest.mark.parametrize("page", DECISIONS, ids=_name)
def test_every_decision_has_its_five_parts_on_one_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert len(text.splitlines()) <= 60


def test_the_index_of_decisions_has_them_all_in_order_by_their_titles() -> None:
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    titles = [page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in DECISIONS]

    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\)$", index, re.MULTILINE)

    assert [(f"{number}. {title}", file) for number, title, file in listed] == [
        (title, page.name) for title, page in zip(titles, DECISIONS, strict=True)
    ]


def test_finds_a_link_a_target_and_an_option_that_do_not_exist() -> None:
    page = ROOT / "README.md"

    assert not leads_somewhere(page, "docs/nowhere.md")
    assert not leads_somewhere(page, "docs/adr/README.md#nothing")
    assert make_targets("make PYTHON=python3.12 nonsense && make test") == {"nonsense", "test"}
    assert list(unknown("$ .venv/bin/crewcall local -f pool.yaml --fast | tee log")) == ["crewcall local --fast"]
    assert list(unknown("crewcall nonsense")) == ["crewcall nonsense"]
    assert list(unknown("crewcall-worker jobs dead retry sms --soon")) == ["crewcall-worker jobs dead retry --soon"]


def links(text: str) -> list[str]:
    """The relative links and pictures of a page."""
    found: list[str] = re.findall(r"\]\(([^)\s]+)\)", "".join(prose(text)))
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """The headings of a page as a browser may be sent to them."""
    headings = re.findall(r"^#+ (.+)$", "".join(prose(text)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(text: str) -> Iterator[str]:
    """A page without its fenced blocks."""
    yield from text.split("```")[::2]


def code(text: str) -> Iterator[str]:
    """Every line of a fenced block and everything between backticks."""
    for block in text.split("```")[1::2]:
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", "".join(prose(text)))


def make_targets(line: str) -> set[str]:
    return set(re.findall(r"\bmake (?:\w+=\S* )*([a-z][a-z0-9-]*)", line))


def there_are_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def unknown(line: str) -> Iterator[str]:
    """The commands and options in a line of code that our programs do not have."""
    for part in re.split(r"[|;&#()\[\]]|  ", line):
        words = part.split()
        program = next((at for at, word in enumerate(words) if Path(word).name in PROGRAMS), None)
        # In a line such as `helm install crewcall charts/crewcall` the word is a name, and no program.
        if program is None or any(word != "$" and "=" not in word for word in words[:program]):
            continue
        yield from _unknown(Path(words[program]).name, words[program + 1 :])


def _unknown(name: str, words: list[str]) -> Iterator[str]:
    command: click.Command = PROGRAMS[name]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = f"{name} {words[0]}"
        if words[0] not in command.commands:
            yield name
            return
        command, words = command.commands[words[0]], words[1:]
    options = {"-h", "--help", "--version"} | {option for parameter in command.params for option in parameter.opts}
    yield from (f"{name} {word}" for word in words if word.startswith("-") and word.split("=")[0] not in options)
