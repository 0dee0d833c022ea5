"""What the operator tells of pools and what people wish of them: records that older and newer versions write."""

from __future__ import annotations

import json

import pytest

from crewcall_worker import wire
from crewcall_worker.wire import Asked, HistoryEntry, Pin, PoolRecord, UnknownRecord

POOL = "shop/notifications"
RECORD = PoolRecord(
    pool=POOL,
    queues=("sms", "email"),
    mode="Auto",
    min_replicas=0,
    max_replicas=10,
    target="20 jobs for each replica",
    desired=3,
    current=2,
    ready_replicas=1,
    draining=0,
    reason="Activated",
    message="3 replicas for 60 jobs",
    pinned=3,
    pinned_by="ada",
)
ENTRY = HistoryEntry(
    at_ms=1_700_000_000_000,
    ready=60,
    in_flight=0,
    delayed=4,
    oldest_ms=2_500,
    desired=3,
    current=2,
    ready_replicas=1,
    reason="Activated",
    message="3 replicas for 60 jobs = more",
)


def test_a_pool_is_read_as_it_was_written() -> None:
    assert wire.read_pool(POOL, wire.write_pool(RECORD)) == RECORD


def test_the_time_is_left_to_redis() -> None:
    at = PoolRecord(POOL, at_ms=5)

    assert wire.write_pool(at) == '{"v":1,"queues":[]}'
    assert wire.read_pool(POOL, b'{"v":1,"at_ms":5}') == at


def test_of_a_later_operator_fields_are_ignored_and_strange_values_tell_nothing() -> None:
    later = {"v": 1, "queues": ["sms", 1], "desired": "three", "current": True, "gpu": 1, "mode": 2, "reason": "Idle"}

    assert wire.read_pool(POOL, json.dumps(later)) == PoolRecord(POOL, queues=("sms",), reason="Idle")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"v":2}', f"pool {POOL}: the record is of version 2; known is 1. Update the reader."),
        ("{}", f"pool {POOL}: the record has no version; expected an object with v = 1"),
        ("[1]", f"pool {POOL}: the record has no version; expected an object with v = 1"),
        ("{", f"pool {POOL}: the record is no JSON"),
    ],
)
def test_a_pool_that_cannot_be_understood_says_why(text: str, words: str) -> None:
    with pytest.raises(UnknownRecord) as caught:
        wire.read_pool(POOL, text)

    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("encoded", [False, True])
def test_an_entry_of_the_history_is_read_as_it_was_written_at_the_time_of_its_id(encoded: bool) -> None:
    told = wire.write_history(ENTRY)
    as_answered = {name.encode(): value.encode() for name, value in told.items()} if encoded else told

    assert wire.read_history(b"1700000000000-3" if encoded else "1700000000000-3", as_answered) == ENTRY
    assert ENTRY.is_decision


def test_what_was_not_known_stays_unknown_and_is_not_zero() -> None:
    blind = HistoryEntry(at_ms=7, desired=0, current=0)

    assert wire.write_history(blind) == {"v": "1", "desired": "0", "current": "0"}
    assert wire.read_history("7-0", {"v": "1", "desired": "0", "current": "0", "ready": "many"}) == blind
    assert not blind.is_decision


@pytest.mark.parametrize(("version", "words"), [("2", "is of version 2"), ("", "has no version"), ("x", "no version")])
def test_an_entry_that_cannot_be_understood_says_why(version: str, words: str) -> None:
    with pytest.raises(UnknownRecord, match=words):
        wire.read_history("7-0", {"v": version, "ready": "1"})


def test_a_pin_is_read_as_it_was_written() -> None:
    assert wire.read_pin(POOL, wire.write_pin(Pin(POOL, 0, "ada"))) == Pin(POOL, 0, "ada")
    assert wire.read_pin(POOL, '{"v":1,"replicas":3,"by":"ada","at_ms":9}') == Pin(POOL, 3, "ada", 9)


@pytest.mark.parametrize("replicas", ["-1", "true", '"3"', "null", "2.5"])
def test_a_pin_to_no_number_of_replicas_is_none(replicas: str) -> None:
    with pytest.raises(UnknownRecord, match="expected a number of replicas"):
        wire.read_pin(POOL, f'{{"v":1,"replicas":{replicas},"by":"ada"}}')


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (wire.write_asked(Asked("w1", "ada")), Asked("w1", "ada")),
        ('{"v":1,"by":"ada","at_ms":9}', Asked("w1", "ada", 9)),
        ('{"v":2}', Asked("w1")),
        ("please", Asked("w1")),
    ],
)
def test_a_worker_is_asked_to_drain_whatever_is_written_there(text: str, asked: Asked) -> None:
    assert wire.read_asked("w1", text) == asked
