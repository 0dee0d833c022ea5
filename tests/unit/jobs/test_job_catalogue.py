"""The four job types, as the catalogue declares them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from crewcall_jobs import catalogue
from crewcall_jobs.alerts.job import key_of
from crewcall_jobs.alerts.payload import Alert
from crewcall_jobs.rules.payload import CssExtract, Rule
from crewcall_jobs.sms.payload import Sms
from crewcall_worker.queues import CATALOGUE, Backoff, FixedDelays, RetryPolicy


def delays(retries: RetryPolicy) -> list[float]:
    """All of them, without chance."""
    found: list[float] = []
    while (delay := retries.delay(len(found) + 1, 0.0)) is not None:
        found.append(delay)
    return found


def test_each_type_has_the_queue_and_the_retries_that_are_promised() -> None:
    declared = {
        job.name: (job.queue, job.concurrency, delays(job.retries))
        for job in (catalogue.send_sms, catalogue.send_digest, catalogue.run_rule, catalogue.dispatch_alert)
    }

    assert declared == {
        "sms.send": ("sms", 5, [5.0, 10.0, 20.0]),
        "email.digest": ("email", 2, [15.0, 30.0, 60.0]),
        "rules.run": ("rules", 5, [30.0, 120.0]),
        "alerts.dispatch": ("alerts", 10, [10.0, 30.0, 60.0, 120.0, 300.0]),
    }
    assert {type(catalogue.send_sms.retries), type(catalogue.run_rule.retries)} == {Backoff, FixedDelays}
    assert set(declared) <= set(CATALOGUE)


def test_an_alert_is_told_once_in_five_minutes_to_each_organisation() -> None:
    dedupe = catalogue.dispatch_alert.dedupe

    assert dedupe is not None
    assert dedupe.window == 300.0
    assert key_of(an_alert("acme")) != key_of(an_alert("other"))


def test_rules_are_limited_by_host_whoever_asks() -> None:
    rate = catalogue.run_rule.rate

    assert rate is not None
    assert rate.key is not None
    assert (rate.limit, rate.period, rate.key(a_rule("https://Shop.test:8443/p?q=1"))) == (1, 1.0, "shop.test")
    assert rate.key(a_rule("https://shop.test./p")) == "shop.test"
    assert (
        rate.key(a_rule("http://bücher.test"))
        == rate.key(a_rule("http://xn--bcher-kva。test./"))
        == "xn--bcher-kva.test"
    )


@pytest.mark.parametrize(
    "number", ["", "15551234567", "+0555123456", "+1555123456a", "+1 555 1234567", "+15551234567\n"]
)
def test_a_number_is_as_e164_has_it(number: str) -> None:
    with pytest.raises(ValidationError):
        Sms(organization_id="acme", to=number, text="hello")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.test",
        "ftp://shop.test/",
        "file:///etc/passwd",
        "http://",
        "https://a@b.test/",
        "http://a b/",
        "http://a.test/\nx",
        "http://\x1b[31mEVIL/",
        "http://a\x00b/",
        "http://a.test/\x9b31m",
        "http://[::1",
        "http://a.test:99999/",
        "http://a.test:x/",
        "http://:80/",
    ],
)
def test_an_address_is_http(url: str) -> None:
    with pytest.raises(ValidationError):
        a_rule(url)


@pytest.mark.parametrize(
    "payload",
    [
        Sms(organization_id="acme", to="+15551234567", text="a secret"),
    ],
)
def test_a_payloads_repr_names_nobody(payload: Sms) -> None:
    assert repr(payload) == "Sms(organization_id='acme', sender='')"


@pytest.mark.parametrize("sign", ["\x85", "\x80", "\x9f", "\x1c", "\u2028"])
def test_no_title_has_a_sign_that_ends_a_header(sign: str) -> None:
    with pytest.raises(ValidationError, match="title"):
        Alert.model_validate({**an_alert("acme").model_dump(), "title": f"Sensor{sign}down"})


def worker(variables: dict[str, str], *before: str) -> subprocess.CompletedProcess[str]:
    """`crewcall-worker run crewcall_jobs.catalogue`, which is to end by itself."""
    run = "from crewcall_worker.cli import main; main(['run', 'crewcall_jobs.catalogue'])"
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", **variables}
    return subprocess.run(
        [sys.executable, "-c", "; ".join([*before, run])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("url", ["postgres//SECRET", "mysql://u:SECRET@h/db", "postgresql://u:SECRET@h:abc/db"])
def test_a_wrong_database_ends_the_worker_at_its_start_and_no_password_is_told(url: str) -> None:
    ended = worker({"CREWCALL_DATABASE_URL": url})

    assert (ended.returncode, "CREWCALL_DATABASE_URL is '(an address)'; write" in ended.stderr) == (2, True)
    assert "SECRET" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_worker_without_the_packages_of_its_jobs_says_which_extra_they_are_in() -> None:
    ended = worker({}, "import sys", "sys.modules['jinja2'] = None")

    assert (ended.returncode, ended.stderr.strip().splitlines()[-1:]) == (
        2,
        ["crewcall-worker: jinja2 is not installed. Try: pip install 'crewcall[jobs]'"],
    )


@pytest.mark.parametrize("module", ["sms", "email", "rules", "alerts"])
def test_who_only_enqueues_needs_no_database_and_no_http(module: str) -> None:
    heavy = "aiohttp sqlalchemy jinja2 bs4 jsonpath psycopg playwright"
    code = f"import sys, crewcall_jobs.{module}.job; print([m for m in {heavy.split()} if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_demo_brings_no_typed_jobs() -> None:
    code = "import crewcall_jobs.demo, sys; print('crewcall_worker.queues.job' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def an_alert(organization: str) -> Alert:
    return Alert.model_validate(
        {
            "organization_id": organization,
            "alert_key": "disk",
            "title": "Disk is full",
            "channels": [{"kind": "email", "to": "ada@example.com"}],
        }
    )


def a_rule(url: str) -> Rule:
    return Rule(organization_id="acme", rule_id="r1", name="Price", url=url, extract=CssExtract(selector="p"))


def test_a_worker_needs_no_browser_until_a_rule_asks_for_one() -> None:
    code = "import crewcall_jobs.catalogue, crewcall_jobs.composition, sys; print('playwright' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
