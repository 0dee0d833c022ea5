"""How often an address may try."""

from __future__ import annotations

import pytest
from tests.support.clock import Clock

from crewcall_worker.board.tries import Tries


@pytest.fixture
def clock() -> Clock:
    return Clock(5.0)


def spend(tries: Tries, address: str, count: int) -> None:
    for _ in range(count):
        tries.count(address)


def test_so_many_tries_are_free_and_then_one_waits(clock: Clock) -> None:
    tries = Tries(3, 60.0, clock)
    waits = []
    for _ in range(4):
        waits.append(tries.wait_for("192.0.2.1"))
        tries.count("192.0.2.1")

    assert waits == [0, 0, 0, 20]


def test_tries_come_back_one_by_one(clock: Clock) -> None:
    tries = Tries(3, 60.0, clock)
    spend(tries, "192.0.2.1", 3)

    clock.now += 20.0
    assert tries.wait_for("192.0.2.1") == 0

    tries.count("192.0.2.1")
    assert tries.wait_for("192.0.2.1") == 20


def test_whoever_goes_on_trying_waits_no_longer_than_for_one(clock: Clock) -> None:
    tries = Tries(3, 60.0, clock)
    spend(tries, "192.0.2.1", 1_000)

    assert tries.wait_for("192.0.2.1") == 20


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "unknown", False),
    ],
)
def test_addresses_that_one_may_have_all_of_count_as_one(clock: Clock, one: str, other: str, is_same: bool) -> None:
    tries = Tries(1, 60.0, clock)
    tries.count(one)

    assert (tries.wait_for(other) > 0) is is_same


def test_of_too_many_addresses_the_oldest_is_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewcall_worker.board.tries.MOST_ADDRESSES", 2)
    tries = Tries(1, 60.0, clock)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        tries.count(address)

    assert [tries.wait_for(f"192.0.2.{number}") > 0 for number in (1, 2, 3)] == [True, False, True]
