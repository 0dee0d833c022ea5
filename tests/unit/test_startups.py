"""How long a replica takes to start, learned from those that did."""

from __future__ import annotations

from crewcall_operator.core.observation import Pod
from crewcall_operator.core.startups import KEPT, Startups


def pod(name: str, created: float = 100.0) -> Pod:
    return Pod(name, is_ready=True, created=created)


def test_takes_the_default_until_one_was_seen() -> None:
    assert Startups().usual == 30.0
    assert Startups(default=2.0).usual == 2.0


def test_measures_from_the_creation_to_the_first_sight_of_the_worker() -> None:
    waiting = Startups().seeing([pod("a")], (), now=101.0)

    assert waiting.seeing([pod("a")], ["a"], now=104.5).usual == 4.5


def test_learns_nothing_from_a_worker_that_was_there_before_its_pod_was_first_seen() -> None:
    assert Startups().seeing([pod("a")], ["a"], now=9000.0).lasted == ()


def test_learns_nothing_from_a_worker_that_comes_back() -> None:
    there = Startups().seeing([pod("a")], (), now=101.0).seeing([pod("a")], ["a"], now=102.0)
    lost = there.seeing([pod("a")], (), now=5000.0)

    assert lost.seeing([pod("a")], ["a"], now=5001.0).lasted == (2.0,)


def test_one_that_took_long_says_little_and_old_ones_are_forgotten() -> None:
    learned = Startups()
    for number, took in enumerate([1000.0, *[3.0] * 2, 600.0, *[5.0] * KEPT]):
        name = f"pod-{number}"
        learned = learned.seeing([pod(name)], (), now=100.0).seeing([pod(name)], [name], now=100.0 + took)

    assert learned.lasted == (5.0,) * KEPT
    assert Startups(lasted=(1000.0, 3.0, 3.0, 4.0)).usual == 3.5
