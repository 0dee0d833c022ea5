"""Who has logged in, as Redis keeps it, and the trail of what they did. Real Redis."""

from __future__ import annotations

import json

import pytest
from tests.support.clock import Clock
from tests.support.redis import RedisServer

from crewcall_worker import wire
from crewcall_worker.board import audit
from crewcall_worker.board.audit import Audit, AuditEntry, Outcome
from crewcall_worker.board.people import Person, Role
from crewcall_worker.board.sessions import Sessions

KEYS = wire.Keys()
JANE = Person("jane", Role.OPERATOR, 2_000_000_000.0)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_999_000_000.0)


@pytest.fixture
def sessions(redis_server: RedisServer, clock: Clock) -> Sessions:
    return Sessions(redis_server.client, "dramatiq", "fingerprint", 3_600.0, clock)


def test_a_session_is_found_by_its_cookie_until_its_time_is_up(sessions: Sessions, clock: Clock) -> None:
    session = sessions.open(JANE)
    assert sessions.find(session.id) == session
    assert session.person == Person("jane", Role.OPERATOR, clock.now + 3_600.0)

    clock.now += 3_600.0
    assert sessions.find(session.id) is None


def test_it_lasts_no_longer_than_what_it_was_opened_with(sessions: Sessions, clock: Clock) -> None:
    assert sessions.open(Person("jane", Role.VIEWER, clock.now + 5.0)).person.until == clock.now + 5.0


def test_redis_forgets_it_by_itself_and_has_no_cookie(sessions: Sessions, redis_server: RedisServer) -> None:
    session = sessions.open(JANE)
    (key,) = redis_server.client.scan_iter("*session*")
    told = str(redis_server.client.get(key))

    assert 3_590 < int(str(redis_server.client.ttl(key))) <= 3_600
    assert session.id not in str(key) + told


def test_no_two_are_alike(sessions: Sessions) -> None:
    found = [sessions.open(JANE) for _ in range(10)]

    assert len({it.id for it in found} | {it.csrf for it in found}) == 20


def test_a_board_that_checks_tokens_by_something_else_knows_none_of_them(
    sessions: Sessions, redis_server: RedisServer
) -> None:
    session = sessions.open(JANE)

    assert Sessions(redis_server.client, "dramatiq", "other", 3_600.0).find(session.id) is None


@pytest.mark.parametrize("told", ["", "no json", "[]", "{}", json.dumps({"sub": "e", "role": "root", "until": 2**40})])
def test_what_is_no_session_of_ours_is_none(sessions: Sessions, redis_server: RedisServer, told: str) -> None:
    session = sessions.open(JANE)
    (key,) = redis_server.client.scan_iter("*session*")
    redis_server.client.set(key, told)

    assert sessions.find(session.id) is None


@pytest.mark.parametrize("cookie", ["", "x" * 10_000, "\udc80", "\n*"])
def test_a_cookie_may_be_anything(sessions: Sessions, cookie: str) -> None:
    sessions.close(cookie)

    assert sessions.find(cookie) is None


def test_the_trail_has_the_last_deeds_first(redis_server: RedisServer) -> None:
    trail = Audit(redis_server.client, "dramatiq")
    trail.note("jane", "pause", "queue sms", Outcome.DONE, detail="why", address="192.0.2.1")
    trail.note("", "login", "the board", Outcome.REFUSED)

    last, first = trail.page().entries
    assert (last.by, last.action, last.outcome) == ("", "login", Outcome.REFUSED)
    assert first == AuditEntry(first.id, first.at_ms, "jane", "pause", "queue sms", Outcome.DONE, "why", "192.0.2.1")


def test_the_trail_does_not_grow_without_end(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_ENTRIES", 100)
    trail = Audit(redis_server.client, "dramatiq")
    for _ in range(1_000):
        trail.note("jane", "resume", "queue sms", Outcome.DONE)

    assert redis_server.client.xlen(KEYS.audit) <= 300  # it is cut by whole nodes


def test_what_came_from_outside_makes_no_second_line(redis_server: RedisServer) -> None:
    trail = Audit(redis_server.client, "dramatiq")
    trail.note("jane", "pause", "queue a\nb", Outcome.DONE, detail="x" * 1_000)

    (entry,) = trail.page().entries
    assert (entry.target, len(entry.detail), entry.detail[-1]) == ("queue a�b", 500, "…")


def test_an_entry_that_somebody_else_wrote_is_shown_as_it_is(redis_server: RedisServer) -> None:
    redis_server.client.xadd(KEYS.audit, {"odd": "1", "outcome": "unheard of"}, id="5-1")

    assert Audit(redis_server.client, "dramatiq").page().entries == (AuditEntry("5-1", 5, "", "", "", Outcome.FAILED),)


@pytest.mark.parametrize(
    ("before", "expected"), [("5-1", ["4-0"]), ("5-0", ["4-0"]), ("4-0", []), ("9-9", ["5-1", "4-0"])]
)
def test_what_was_before_an_entry_is_without_it(redis_server: RedisServer, before: str, expected: list[str]) -> None:
    for id_ in ("4-0", "5-1"):
        redis_server.client.xadd(KEYS.audit, {"by": "jane"}, id=id_)

    assert [entry.id for entry in Audit(redis_server.client, "dramatiq").page(before).entries] == expected


@pytest.mark.parametrize("before", ["x", "1", "-", "1-1\n", "٣-1", "(1-1", "1-" + "9" * 20])
def test_an_id_that_was_never_told_is_refused(redis_server: RedisServer, before: str) -> None:
    with pytest.raises(ValueError, match="expected the id of an entry"):
        Audit(redis_server.client, "dramatiq").page(before)
