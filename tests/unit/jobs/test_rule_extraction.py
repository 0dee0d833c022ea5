"""What a rule looks for, out of what was fetched."""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_jobs.rules import extraction
from crewcall_jobs.rules.extraction import Unreadable, extract
from crewcall_jobs.rules.finding import LONGEST, MOST, MOST_TAGS, Question, UnreadableError, WrongExpressionError, find
from crewcall_jobs.rules.payload import CssExtract, JsonExtract
from crewcall_worker.queues import Reject

PAGE = """<html><body><ul class="prices"><li data-sku="a">  10 €\n </li><li data-sku="b c">12 <b>€</b></li><li>none</li>
</ul></body></html>""".encode()
DOCUMENT = b'{"items": [{"n": 1, "on": true, "t": "x"}, {"n": 2, "on": null, "t": {"b": 1, "a": "\xc3\xa9"}}]}'


@pytest.mark.parametrize(
    ("how", "found"),
    [
        (CssExtract(selector=".prices li"), ("10 €", "12 €", "none")),
        (CssExtract(selector="li:first-child"), ("10 €",)),
        (CssExtract(selector="li", attribute="data-sku"), ("a", "b c")),
        (CssExtract(selector="ul", attribute="class"), ("prices",)),
        (CssExtract(selector="table"), ()),
    ],
)
def test_css_finds_texts_and_attributes(how: CssExtract, found: tuple[str, ...]) -> None:
    assert extract(how, PAGE, "utf-8") == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.items[*].n", ("1", "2")),
        ("$.items[*].on", ("true", "null")),
        ("$..t", ("x", '{"a": "é", "b": 1}')),
        ("$.items[?@.n > 1].n", ("2",)),
        ("$.items[?length(@.t) == 1].n", ("1",)),
        ("$.nothing", ()),
    ],
)
def test_json_path_finds_values(path: str, found: tuple[str, ...]) -> None:
    assert extract(JsonExtract(path=path), DOCUMENT, None) == found


@pytest.mark.parametrize(
    "how",
    [
        CssExtract(selector="li["),
        CssExtract(selector="li:no-such-thing"),
        JsonExtract(path="items"),
        JsonExtract(path="$.items["),
        JsonExtract(path="$.items[?match(@.t, '(x+x+)+y')]"),
        JsonExtract(path="$.items[?search(@.t, 'x')]"),
        JsonExtract(path="$.items[?@.t =~ /(x+x+)+y/]"),
    ],
)
def test_a_wrong_expression_is_rejected_and_a_regular_one_too(how: CssExtract | JsonExtract) -> None:
    with pytest.raises(Reject):
        extract(how, DOCUMENT if isinstance(how, JsonExtract) else PAGE, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_may_be_some_at_the_next_try(body: bytes) -> None:
    with pytest.raises(Unreadable):
        extract(JsonExtract(path="$"), body, None)


def test_takes_so_much_and_no_more() -> None:
    page = b"".join(b"<p>%s</p>" % (b"x" * (LONGEST + 10)) for _ in range(MOST + 10))

    found = extract(CssExtract(selector="p"), page, None)

    assert (len(found), {len(text) for text in found}) == (MOST, {LONGEST})


def test_reads_a_page_in_the_charset_that_its_server_names() -> None:
    assert extract(CssExtract(selector="p"), "<p>ž</p>".encode("iso-8859-2"), "iso-8859-2") == ("ž",)


def test_a_charset_that_nobody_knows_is_guessed() -> None:
    assert extract(CssExtract(selector="p"), "<p>é</p>".encode(), "no-such-charset") == ("é",)


@given(st.binary(max_size=300))
def test_no_page_is_so_broken_that_another_error_comes_out(body: bytes) -> None:
    for question in (Question("css", "p, a[href] > *"), Question("json", "$..*")):
        with contextlib.suppress(UnreadableError):
            find(question, body)


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "zlib_codec", "utf-7", "undefined", "a\0b"])
def test_a_charset_that_no_page_is_written_in_is_not_heeded(charset: str) -> None:
    assert find(Question("css", "p", charset=charset), "<p>é</p>".encode()) == ["é"]


def test_nor_is_one_that_the_page_itself_names() -> None:
    page = b'<meta charset="punycode"><p>a-9999a</p>'

    assert find(Question("css", "p"), page) == ["a-9999a"]


def test_a_page_may_name_its_charset_itself() -> None:
    page = '<meta charset="iso-8859-2"><p>ž</p>'.encode("iso-8859-2")

    assert find(Question("css", "p"), page) == ["ž"]


def test_a_number_beyond_all_measure_is_rejected() -> None:
    with pytest.raises(Reject):
        extract(JsonExtract(path="$[99999999999999999999]"), b"[1]", None)


def test_nor_does_a_date_beyond_all_measure_make_another_error() -> None:
    page = b"<input type=date min=2020-99-99 value=99999-01-01><input type=week max=2020-W99 value=999999999999-W60>"

    with contextlib.suppress(UnreadableError, WrongExpressionError):
        find(Question("css", "input:in-range"), page)


def test_a_page_that_is_no_html_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="the answer is not HTML"):
        extract(CssExtract(selector="p"), b"<![foo bar", None)


def test_more_tags_than_any_page_has_are_not_read() -> None:
    with pytest.raises(UnreadableError, match=f"more than {MOST_TAGS} tags"):
        find(Question("css", "p"), b"<div>" * 300_000)


def test_each_of_many_tags_around_one_text_tells_the_beginning_of_it() -> None:
    page = b"<div>" * MOST + "ж".encode() * 400_000

    assert find(Question("css", "*"), page) == ["ж" * LONGEST] * MOST


def test_a_path_that_finds_millions_ends_when_enough_are_found() -> None:
    path = "$" + "[0,0]" * 22

    assert extract(JsonExtract(path=path), b"[" * 22 + b"1" + b"]" * 22, None) == ("1",) * MOST


@pytest.mark.parametrize(
    ("how", "body"),
    [
        (JsonExtract(path="$" + "[0,0]" * 22 + ".none"), b"[" * 22 + b"1" + b"]" * 22),
        (CssExtract(selector="b *"), b"<i>" * 95_000),
    ],
)
def test_what_takes_longer_than_there_is_patience_for_is_given_up(
    how: CssExtract | JsonExtract, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "PATIENCE", 0.2)  # either takes seconds, and no machine is so much faster

    with pytest.raises(Unreadable, match="write a simpler expression"):
        extract(how, body, None)


def test_what_would_take_all_memory_is_given_up() -> None:
    with pytest.raises(Unreadable, match="the answer takes too much memory"):
        extract(JsonExtract(path="$"), b"[" + b"{}," * 4_000_000 + b"1]", None)


def test_the_process_that_reads_a_page_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, str]] = []
    run = subprocess.run

    def spied(*arguments: Any, **named: Any) -> Any:
        told.append(named["env"])
        return run(*arguments, **named)

    monkeypatch.setenv("CREWCALL_SMS_KEY", "secret")
    monkeypatch.setattr(subprocess, "run", spied)

    assert extract(CssExtract(selector="p"), b"<p>a</p>", None) == ("a",)
    assert [set(names) for names in told] == [{"PYTHONPATH"}]
