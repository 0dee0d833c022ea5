"""What the worker makes of signals: the first one drains, a second one ends it, one that is said twice is one."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from crewcall_worker.run import Signals
from crewcall_worker.states import Event

TERM, INT = signal.SIGTERM, signal.SIGINT


class Ears:
    """A steward that only hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Event, str]] = []

    def hear(self, event: Event, source: str) -> None:
        self.heard.append((event, source))


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        ([(TERM, 0.0), (TERM, 0.0), (TERM, 0.9)], ["SIGTERM"]),
        ([(TERM, 0.0), (TERM, 0.9), (TERM, 1.1)], ["SIGTERM", "Second SIGTERM"]),
        ([(TERM, 0.0), (INT, 0.1)], ["SIGTERM", "Second SIGINT"]),
        ([(INT, 0.0), (INT, 0.1), (TERM, 5.0)], ["SIGINT", "Second SIGTERM"]),
    ],
)
def test_a_signal_that_is_repeated_within_a_second_is_one(
    sent: list[tuple[signal.Signals, float]], heard: list[str]
) -> None:
    ears: Any = Ears()
    times = iter([at for _, at in sent])
    signals = Signals(ears, steady=lambda: next(times))

    for number, _ in sent:
        signals(number, None)

    assert ears.heard == [(Event.SIGTERM, source) for source in heard]
