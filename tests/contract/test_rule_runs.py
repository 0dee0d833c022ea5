"""`rules.run` against real pages that change, fail and stay, with its results in SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.job_types import NOW, a_context, clock, settings_for
from tests.support.web_servers import Act, WebServer, flood, reply, reset, web_server

from crewcall_jobs.alerts.payload import Alert, EmailChannel, Severity
from crewcall_jobs.composition import Services, compose
from crewcall_jobs.errors import JobFailed, NothingFound, Overtaken, Undelivered, Unreachable
from crewcall_jobs.rules.checking import check
from crewcall_jobs.rules.extraction import Unreadable
from crewcall_jobs.rules.payload import CssExtract, JsonExtract, Rule
from crewcall_jobs.settings import WebSettings
from crewcall_worker.queues import Reject, TryAgain

ADA = EmailChannel(to="ada@example.com")


def page(price: str, **headers: str) -> Act:
    return reply(200, f"<p class=price>{price}</p>", content_type="text/html; charset=utf-8", **headers)


@dataclass(slots=True)
class Alerts:
    """What was raised; `failing`: how often that fails first."""

    raised: list[Alert] = field(default_factory=list)
    failing: int = 0

    def __call__(self, alert: Alert) -> str:
        if self.failing:
            self.failing -= 1
            raise JobFailed("Redis is away")
        self.raised.append(alert)
        return f"alert-{len(self.raised)}"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def alerts() -> Alerts:
    return Alerts()


@pytest.fixture
def services(alerts: Alerts, tmp_path: Path) -> Iterator[Services]:
    made = compose(settings_for(tmp_path), alerts, clock)
    yield made
    made.database.close()


def a_rule(server: WebServer, **changes: object) -> Rule:
    fields = {
        "organization_id": "acme",
        "rule_id": "r1",
        "name": "Price",
        "url": f"{server.url}/p/1?token=secret",
        "extract": CssExtract(selector=".price"),
        "severity": Severity.WARNING,
        "channels": (ADA,),
    }
    return Rule.model_validate({**fields, **changes})


def run(rule: Rule, services: Services) -> None:
    check(rule, a_context(), services.checker)


def test_the_first_look_is_stored_and_alerts_nobody(server: WebServer, services: Services, alerts: Alerts) -> None:
    server.will(page("10 €"))

    run(a_rule(server), services)

    snapshot = services.snapshots.find("acme", "r1")
    assert snapshot is not None
    assert (snapshot.version, snapshot.found, snapshot.checked_at) == (1, ("10 €",), NOW)
    assert alerts.raised == []


def test_a_change_raises_an_alert(server: WebServer, services: Services, alerts: Alerts) -> None:
    server.will(page("10 €"), page("12 €"))
    rule = a_rule(server)

    run(rule, services)
    run(rule, services)

    assert alerts.raised == [
        Alert(
            organization_id="acme",
            alert_key="rule:r1:2",
            title="Price has changed",
            text="- 10 €\n+ 12 €",
            severity=Severity.WARNING,
            url=rule.url,
            occurred_at=NOW,
            channels=(ADA,),
        )
    ]
    assert services.snapshots.without_alert("acme", "r1") == []


def test_the_same_again_raises_none(server: WebServer, services: Services, alerts: Alerts) -> None:
    server.will(page("10 €"), page("  10\n€ "))

    for _ in range(3):
        run(a_rule(server), services)

    assert alerts.raised == []


def test_asks_whether_the_page_has_changed_and_takes_no_for_an_answer(
    server: WebServer, services: Services, alerts: Alerts
) -> None:
    since = "Sun, 01 Mar 2026 10:00:00 GMT"
    server.will(page("10 €", etag='"v1"', last_modified=since), reply(304))

    run(a_rule(server), services)
    run(a_rule(server), services)

    first, second = server.seen
    assert "if-none-match" not in first.headers
    assert (second.headers["if-none-match"], second.headers["if-modified-since"]) == ('"v1"', since)
    snapshot = services.snapshots.find("acme", "r1")
    assert snapshot is not None
    assert (snapshot.version, snapshot.found, snapshot.etag, alerts.raised) == (1, ("10 €",), '"v1"', [])


def test_a_validator_that_cannot_be_said_again_is_not_kept(server: WebServer, services: Services) -> None:
    server.will(page("10 €", etag='"é"'))

    run(a_rule(server), services)
    run(a_rule(server), services)

    assert "if-none-match" not in server.seen[1].headers


def test_another_question_to_the_same_page_is_asked_in_full(
    server: WebServer, services: Services, alerts: Alerts
) -> None:
    server.will(page("10 €", etag='"v1"'), page("<b>10</b> €", etag='"v1"'))

    run(a_rule(server), services)
    run(a_rule(server, extract=CssExtract(selector=".price b")), services)

    snapshot = services.snapshots.find("acme", "r1")
    assert snapshot is not None
    assert ("if-none-match" in server.seen[1].headers, snapshot.found, alerts.raised) == (False, ("10",), [])


def test_an_alert_that_could_not_be_raised_is_raised_by_the_next_run(
    server: WebServer, services: Services, alerts: Alerts
) -> None:
    server.will(page("10 €"), page("12 €", etag='"v2"'), reply(304))
    alerts.failing = 1
    rule = a_rule(server)
    run(rule, services)

    with pytest.raises(JobFailed):
        run(rule, services)
    run(rule, services)

    assert [alert.alert_key for alert in alerts.raised] == ["rule:r1:2"]


def test_organisations_have_rules_of_their_own(server: WebServer, services: Services, alerts: Alerts) -> None:
    server.will(page("10 €"), page("12 €"))

    run(a_rule(server), services)
    run(a_rule(server, organization_id="other"), services)

    assert alerts.raised == []


def test_reads_json_too(server: WebServer, services: Services, alerts: Alerts) -> None:
    server.will(reply(200, '{"stock": [{"n": 3}]}'), reply(200, '{"stock": [{"n": 0}]}'))
    rule = a_rule(server, extract=JsonExtract(path="$.stock[*].n"))

    run(rule, services)
    run(rule, services)

    assert [alert.text for alert in alerts.raised] == ["- 3\n+ 0"]
    assert server.seen[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (reset(), Unreachable),
        (reply(500), Undelivered),
        (reply(429, retry_after="9"), TryAgain),
        (reply(404), Reject),
        (reply(403), Reject),
        (reply(302, location="http://169.254.169.254/latest/meta-data/"), Reject),
        (reply(200, "<p>nothing to see"), NothingFound),
        (flood(), Reject),
    ],
    ids=["reset", "500", "429", "404", "403", "redirect-to-metadata", "nothing-found", "huge"],
)
def test_a_page_that_fails_changes_nothing_of_what_is_known(
    server: WebServer, services: Services, alerts: Alerts, act: Act, kind: type[Exception]
) -> None:
    server.will(page("10 €"), act)
    run(a_rule(server), services)
    before = services.snapshots.find("acme", "r1")

    with pytest.raises(kind) as caught:
        run(a_rule(server), services)

    assert (services.snapshots.find("acme", "r1"), alerts.raised) == (before, [])
    assert "secret" not in str(caught.value)


def test_bad_json_changes_nothing(server: WebServer, services: Services) -> None:
    server.will(reply(200, "{"))

    with pytest.raises(Unreadable, match=r"^the answer is not JSON$"):
        run(a_rule(server, extract=JsonExtract(path="$")), services)


def test_nothing_found_is_a_result_where_the_rule_says_so(
    server: WebServer, services: Services, alerts: Alerts
) -> None:
    server.will(page("10 €"), reply(200, "<p>sold out"))
    rule = a_rule(server, allow_empty=True)

    run(rule, services)
    run(rule, services)

    assert [alert.text for alert in alerts.raised] == ["- 10 €"]


def test_of_two_runs_at_once_one_is_overtaken(server: WebServer, services: Services) -> None:
    server.will(page("10 €"), page("12 €"))
    run(a_rule(server), services)
    stale = services.snapshots.find("acme", "r1")
    run(a_rule(server), services)
    assert stale is not None

    with pytest.raises(Overtaken, match=r"^rule r1: another run was first$"):
        services.snapshots.store(replace(stale, version=2), stale, None)
    with pytest.raises(Overtaken):
        services.snapshots.store(stale, None, None)


def test_private_addresses_are_refused_where_none_was_allowed(
    server: WebServer, alerts: Alerts, tmp_path: Path
) -> None:
    services = compose(replace(settings_for(tmp_path), web=WebSettings()), alerts, clock)

    with pytest.raises(Reject, match=r": leads to 127\.0\.0\.1, which is not public$"):
        run(a_rule(server), services)

    services.database.close()
    assert server.seen == []
