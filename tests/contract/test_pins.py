"""Pins of pools: who pinned them, to what, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.redis import RedisServer

from crewcall_worker import wire
from crewcall_worker.queues.pins import Pins
from crewcall_worker.wire import Pin

KEYS = wire.Keys()
POOL, OTHER = "shop/pool", "shop/other"


@pytest.fixture
def pins(redis_server: RedisServer) -> Pins:
    return Pins(redis_server.client, "dramatiq")


def test_tells_who_pinned_a_pool_and_when(pins: Pins, redis_server: RedisServer) -> None:
    pin = pins.pin(POOL, 3, by="ada")
    other = pins.pin(OTHER, 0, by="bob")
    seconds, _ = redis_server.client.time()

    assert replace(pin, at_ms=None) == Pin(POOL, 3, "ada")
    assert pin.at_ms == pytest.approx(seconds * 1000, abs=2_000)
    assert pins.list() == [other, pin]


def test_a_pin_takes_the_place_of_the_one_before(pins: Pins) -> None:
    pins.pin(POOL, 3, by="ada")

    second = pins.pin(POOL, 5, by="bob")

    assert pins.list() == [second]


def test_who_removes_a_pin_is_told_whether_there_was_one(pins: Pins) -> None:
    pins.pin(POOL, 3, by="ada")

    assert [pins.unpin(POOL, by="bob"), pins.unpin(POOL, by="bob")] == [True, False]
    assert pins.list() == []


@pytest.mark.parametrize(("pool", "replicas", "by"), [("", 1, "ada"), (POOL, 1, ""), (POOL, -1, "ada")])
def test_nobody_pins_nothing_to_less_than_nothing(pins: Pins, pool: str, replicas: int, by: str) -> None:
    with pytest.raises(ValueError, match="expected both to be named, and 0 replicas or more"):
        pins.pin(pool, replicas, by=by)

    assert pins.list() == []


def test_what_is_no_pin_is_left_out_and_may_be_removed(pins: Pins, redis_server: RedisServer) -> None:
    redis_server.client.hset(KEYS.pins, mapping={POOL: "three", OTHER: '{"v":1,"replicas":-1}'})

    assert pins.list() == []
    assert pins.unpin(POOL, by="ada")
