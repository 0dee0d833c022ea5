"""What the demo's picture says of what was done to the pool, and in which row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from examples.demo import Demo, Producer

from crewcall_operator.local.picture import Mark, in_rows

SENT = [Mark(100.0, "160 jobs are sent"), Mark(107.5, "240 jobs are sent")]
KILLED = Mark(108.1, "a busy worker is killed")


def test_the_demo_marks_its_bursts_and_its_kill() -> None:
    demo = Demo()
    demo.producer = cast("Producer", SimpleNamespace(bursts=[100.0, 107.5]))

    without = demo.marks()
    demo.killed = KILLED

    assert (without, demo.marks()) == (SENT, [*SENT, KILLED])


def test_the_words_of_marks_that_are_close_are_below_each_other() -> None:
    assert list(in_rows([*SENT, KILLED])) == [(SENT[0], 0), (SENT[1], 0), (KILLED, 1)]
