"""Middleware in a worker hears what it would hear from Dramatiq itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq import Broker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, SkipMessage

from crewcall_worker.emitter import Emitter

heard: list[tuple[str, str, Any]] = []


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    heard.clear()
    yield
    heard.clear()


class Deaf(Middleware):
    """Has nothing of its own."""


class Named(Middleware):
    def __init__(self, name: str) -> None:
        self.name = name


class Early(Named):
    def before_ack(self, _broker: Broker, message: Any) -> None:
        heard.append((self.name, "before_ack", message))


class Both(Early):
    def after_ack(self, _broker: Broker, message: Any) -> None:
        heard.append((self.name, "after_ack", message))


class Failing(Both):
    def before_ack(self, broker: Broker, message: Any) -> None:
        super().before_ack(broker, message)
        raise RuntimeError("of its own")

    def after_ack(self, broker: Broker, message: Any) -> None:
        super().after_ack(broker, message)
        raise RuntimeError("of its own")


class Skipping(Early):
    def before_ack(self, broker: Broker, message: Any) -> None:
        super().before_ack(broker, message)
        raise SkipMessage


def brokers(*middleware: Middleware) -> tuple[Broker, Broker]:
    """Dramatiq's own, and one that has an emitter."""
    made = StubBroker(middleware=list(middleware)), StubBroker(middleware=list(middleware))
    Emitter(made[1]).take_part()
    return made


def told(broker: Broker, message: str = "hello") -> list[tuple[str, str, Any]]:
    heard.clear()
    try:
        broker.emit_before("ack", message)
        broker.emit_after("ack", message)
    except SkipMessage:
        heard.append(("", "skipped", message))
    return list(heard)


def test_tells_those_who_listen_in_dramatiqs_order() -> None:
    plain, quick = brokers(Deaf(), Early("a"), Both("b"), Deaf(), Both("c"))
    expected = [("a", "before_ack", "hello"), ("b", "before_ack", "hello"), ("c", "before_ack", "hello")]
    assert told(quick) == told(plain) == [*expected, ("c", "after_ack", "hello"), ("b", "after_ack", "hello")]


def test_goes_on_after_one_that_fails_and_says_so_as_dramatiq_does(caplog: pytest.LogCaptureFixture) -> None:
    plain, quick = brokers(Both("a"), Failing("b"), Both("c"))
    caplog.clear()
    expected = told(plain)
    said = [(record.levelno, record.message, record.exc_info is None) for record in caplog.records]
    caplog.clear()
    assert (told(quick), len(expected)) == (expected, 6)
    assert [(record.levelno, record.message, record.exc_info is None) for record in caplog.records] == said
    assert len(said) == 2


def test_lets_a_middleware_stop_what_is_about_to_happen() -> None:
    plain, quick = brokers(Both("a"), Skipping("b"), Both("c"))
    assert (
        told(quick)
        == told(plain)
        == [
            ("a", "before_ack", "hello"),
            ("b", "before_ack", "hello"),
            ("", "skipped", "hello"),
        ]
    )


def test_hears_of_each_change_of_the_list() -> None:
    _, quick = brokers(Both("a"))
    told(quick)
    quick.add_middleware(Both("last"))
    quick.middleware.insert(0, Early("first"))
    assert [name for name, _, _ in told(quick)] == ["first", "a", "last", "last", "a"]
    quick.middleware[1] = Deaf()
    assert [name for name, _, _ in told(quick)] == ["first", "last", "last"]


def test_tells_one_whose_method_was_put_into_it_by_hand() -> None:
    by_hand = Deaf()
    vars(by_hand)["before_ack"] = lambda _broker, message: heard.append(("by hand", "before_ack", message))
    plain, quick = brokers(by_hand)
    assert told(quick) == told(plain) == [("by hand", "before_ack", "hello")]


def test_knows_signals_that_dramatiq_does_not() -> None:
    class Own(Middleware):
        def before_lunch(self, _broker: Broker, what: Any) -> None:
            heard.append(("own", "before_lunch", what))

    _, quick = brokers(Own())
    quick.emit_before("lunch", "soup")
    assert heard == [("own", "before_lunch", "soup")]
