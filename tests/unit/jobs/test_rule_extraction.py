"""What a rule looks for, out of what was fetched."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_jobs.errors import JobFailed
from crewcall_jobs.rules.extraction import LONGEST, MOST, Unreadable, extract
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
    for how in (CssExtract(selector="p, a[href] > *"), JsonExtract(path="$..*")):
        with contextlib.suppress(JobFailed):
            extract(how, body, None)


def test_a_page_nested_without_end_is_unreadable_or_read() -> None:
    page = b"<div>" * 50_000 + b"<p>deep</p>"

    try:
        found = extract(CssExtract(selector="p"), page, None)
    except Unreadable:
        return
    assert found == ("deep",)
