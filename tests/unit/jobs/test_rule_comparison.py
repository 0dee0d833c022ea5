"""What a rule found, compared with what it had found before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crewcall_jobs.rules.comparison import compare, definition_of, words
from crewcall_jobs.rules.payload import CssExtract, Rule
from crewcall_jobs.rules.snapshot import Change, Snapshot

THEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = THEN + timedelta(hours=1)
RULE = Rule(
    organization_id="acme",
    rule_id="r1",
    name="Price",
    url="https://shop.test/p/1",
    extract=CssExtract(selector=".price"),
)
BEFORE = Snapshot("acme", "r1", 4, definition_of(RULE), ("10 €",), '"e1"', "", THEN, THEN)


def test_a_first_look_is_no_change() -> None:
    assert compare(RULE, None, ("10 €",), '"e1"', "Sun", NOW) == (
        Snapshot("acme", "r1", 1, definition_of(RULE), ("10 €",), '"e1"', "Sun", NOW, NOW),
        None,
    )


def test_the_same_again_is_no_change() -> None:
    assert compare(RULE, BEFORE, ("10 €",), '"e2"', "", NOW) == (replace(BEFORE, etag='"e2"', checked_at=NOW), None)


def test_something_else_is_a_change() -> None:
    assert compare(RULE, BEFORE, ("12 €",), '"e2"', "", NOW) == (
        Snapshot("acme", "r1", 5, definition_of(RULE), ("12 €",), '"e2"', "", NOW, NOW),
        Change("acme", "r1", 5, ("10 €",), ("12 €",), NOW),
    )


def test_another_question_is_asked_for_the_first_time() -> None:
    other = RULE.model_copy(update={"extract": CssExtract(selector=".stock")})

    snapshot, change = compare(other, BEFORE, ("in stock",), "", "", NOW)

    assert (snapshot.version, snapshot.found, change) == (5, ("in stock",), None)


def test_another_name_or_channel_is_the_same_question() -> None:
    assert definition_of(RULE.model_copy(update={"name": "Cost", "allow_empty": True})) == definition_of(RULE)


def test_the_words_say_what_went_and_what_came() -> None:
    change = Change("acme", "r1", 5, ("10 €", "kept"), ("kept", "12 €", "x" * 400), NOW)

    assert words(change) == f"- 10 €\n+ 12 €\n+ {'x' * 299}…"


def test_the_words_tell_of_another_order() -> None:
    assert words(Change("acme", "r1", 5, ("a", "b"), ("b", "a", "a"), NOW)) == (
        "The same 3 things, in another order or number (there were 2)."
    )
