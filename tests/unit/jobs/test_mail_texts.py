"""Mails: what they say, and their bytes."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crewcall_jobs.email.digest import mail_of
from crewcall_jobs.email.mail import Mail, message
from crewcall_jobs.email.payload import Digest, DigestItem, DigestSection
from crewcall_jobs.templates import Templates
from crewcall_worker.queues import Reject

TEMPLATES = Templates()
LOCAL = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9'+-]{1,20}){0,2}"
ADDRESS = LOCAL + r"@[a-z0-9]{1,20}(\.[a-z0-9]([a-z0-9-]{0,5}[a-z])?){1,3}"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def digest(**changes: object) -> Digest:
    fields: dict[str, object] = {
        "organization_id": "acme",
        "to": "ada@example.com",
        "subject": "Your week",
        "greeting": "Hello Ada,",
        "sections": (
            DigestSection(
                title="Invoices",
                items=(
                    DigestItem(title="Paid <b>late</b>", url="https://acme.test/i/1?a=1&b=2", summary="By Müller & Co"),
                    DigestItem(title="Open"),
                ),
            ),
        ),
        "unsubscribe_url": "https://acme.test/u/1",
    }
    return Digest.model_validate({**fields, **changes})


def test_a_digest_reads_as_text() -> None:
    assert mail_of(digest(), Templates()).text == (
        "Your week\n=========\n\nHello Ada,\n\nInvoices\n--------\n\n"
        "* Paid <b>late</b>\n  By Müller & Co\n  https://acme.test/i/1?a=1&b=2\n\n"
        "* Open\n\nTo get no more of these: https://acme.test/u/1\n"
    )


def test_what_people_wrote_is_escaped_in_html() -> None:
    html = mail_of(digest(), Templates()).html

    assert "Paid &lt;b&gt;late&lt;/b&gt;</a>" in html
    assert 'href="https://acme.test/i/1?a=1&amp;b=2"' in html
    assert "By Müller &amp; Co" in html
    assert "<b>" not in html


def test_a_template_of_the_installations_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / "digest.txt").write_text("News for {{ digest.organization_id }}")

    mail = mail_of(digest(), Templates(str(tmp_path)))

    assert (mail.text, mail.html.startswith("<!doctype html>")) == ("News for acme\n", True)


@pytest.mark.parametrize("text", ["{{ nobody.there }}", "{% if %}", "{{ digest.salary }}"])
def test_a_template_at_fault_is_told_and_no_mail_has_a_gap(text: str, tmp_path: Path) -> None:
    (tmp_path / "digest.txt").write_text(text)

    with pytest.raises(Reject, match=r"^template digest\.txt: \w+; correct it in CREWCALL_TEMPLATES$"):
        mail_of(digest(), Templates(str(tmp_path)))


def test_a_message_goes_over_the_wire_as_it_was_meant() -> None:
    mail = Mail("ada@example.com", "Grüße", "Text für Ada\n", "<p>Für Ada</p>\n", "https://acme.test/u/1")

    sent = email.message_from_bytes(
        message(mail, "Acme News <news@acme.test>", "job-1", NOW).as_bytes(), policy=email.policy.default
    )

    text, html = (sent.get_body((kind,)) for kind in ("plain", "html"))
    assert dict(sent.items()) == {
        "From": "Acme News <news@acme.test>",
        "To": "ada@example.com",
        "Subject": "Grüße",
        "Date": "Sun, 01 Mar 2026 12:00:00 +0000",
        "Message-ID": "<job-1@acme.test>",
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": "<https://acme.test/u/1>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "MIME-Version": "1.0",
        "Content-Type": sent["Content-Type"],
    }
    assert sent.get_content_type() == "multipart/alternative"
    assert text is not None
    assert html is not None
    assert (text.get_content(), html.get_content()) == ("Text für Ada\r\n", "<p>Für Ada</p>\r\n")


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://acme.test/u?" + "x" * 200 + "&list=a,b", "https://acme.test/u?" + "x" * 200 + "&list=a,b"),
        ("https://acme.test/u?sig=%2F&q=1", "https://acme.test/u?sig=%2F&q=1"),
        ("https://exämple.test:8443/ü?q=é", "https://xn--exmple-cua.test:8443/%C3%BC?q=%C3%A9"),
        ('https://acme.test/<">', "https://acme.test/%3C%22%3E"),
    ],
)
def test_the_header_to_unsubscribe_has_the_whole_address_in_one_line(url: str, written: str) -> None:
    sent = message(Mail("ada@example.com", "s", "t", "h", url), "news@acme.test", "job-1", NOW).as_bytes()

    assert f"\r\nList-Unsubscribe: <{written}>\r\n".encode() in sent


def test_an_address_to_unsubscribe_that_no_line_can_hold_is_in_the_text_alone() -> None:
    mail = mail_of(digest(unsubscribe_url="https://acme.test/" + "x" * 1000), TEMPLATES)

    made = message(mail, "news@acme.test", "job-1", NOW)

    assert (made["List-Unsubscribe"], made["List-Unsubscribe-Post"]) == (None, None)
    assert mail.unsubscribe_url in mail.text


def test_a_mail_is_written_in_seven_bits_and_short_lines() -> None:
    sent = message(
        Mail("ada@example.com", "Grüße", "é" * 3000, "é" * 3000), "Jürgen <n@acme.test>", "k", NOW
    ).as_bytes()

    assert sent.isascii()
    assert max(map(len, sent.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "ada"},
        {"to": "ada@example"},
        {"to": "a..da@example.com"},
        {"to": ".ada@example.com"},
        {"to": "Ada <ada@example.com>"},
        {"to": "ada@example.com\nBcc: eve@example.com"},
        {"to": "ada@example.com\n"},
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": ""},
        {"sections": ()},
        {"unsubscribe_url": "javascript:alert(1)"},
        {"unsubscribe_url": "https://user:password@acme.test/"},
        {"organization_id": None},
        {"priority": "high"},
    ],
)
def test_a_digest_that_cannot_be_sent_is_not_enqueued_and_the_error_repeats_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        digest(**wrong)

    assert "eve@example.com" not in str(caught.value)


@given(
    to=st.from_regex(ADDRESS, fullmatch=True),
    subject=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=200),
)
def test_no_address_and_no_subject_that_is_let_in_breaks_a_mail(to: str, subject: str) -> None:
    checked = digest(to=to, subject=subject)

    sent = email.message_from_bytes(
        message(mail_of(checked, TEMPLATES), "news@acme.test", "job-1", NOW).as_bytes(), policy=email.policy.default
    )

    assert sent.keys() == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "MIME-Version",
        "Content-Type",
    ]
    assert [address.addr_spec for address in sent["To"].addresses] == [to]


def test_a_digests_repr_names_nobody() -> None:
    assert repr(digest()) == "Digest(organization_id='acme', language='en')"
