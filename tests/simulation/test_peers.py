"""The other autoscalers, each held to what it publishes of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crewcall_operator.simulation.constant import AllAtOnce
from crewcall_operator.simulation.peers import PEERS, Pool
from crewcall_operator.simulation.ports import Autoscaler, Look

KNOWN = Pool(promise=30.0, service=2.0, threads=4, most=50)
NOTHING = Look(
    at=0.0, ready=0, held=0, running=0, delayed=0, due=0, due_in=(), asked=0, working=0, draining=0, starting=0,
    arrived=0, started=0, done=0, busy=0.0, startups=(), is_blind=False,
)  # fmt: skip


def story(autoscaler: Autoscaler, ready: int, seconds: float, asked: int = 0, held: int = 0) -> list[tuple[float, int]]:
    """What it asks for, and from when on, while so many jobs are there and all replicas work at once."""
    changes, at = [(0.0, asked)], 0.0
    while at <= seconds:
        look = NOTHING._replace(at=at, ready=ready, held=held, asked=asked, working=asked)
        asked = autoscaler.wanted(look)
        if asked != changes[-1][1]:
            changes.append((at, asked))
        at += autoscaler.interval
    return changes


def test_the_hpa_goes_to_four_and_then_doubles_every_fifteen_seconds() -> None:
    changes = story(PEERS["hpa"](KNOWN), ready=6000, seconds=60, asked=1)

    assert changes == [(0.0, 1), (0.0, 4), (15.0, 8), (30.0, 16), (45.0, 32), (60.0, 50)]


def test_the_hpa_goes_on_to_what_it_recommended_though_the_load_is_gone() -> None:
    hpa = PEERS["hpa"](KNOWN)

    looks = [hpa.wanted(NOTHING._replace(at=0.0, ready=6000, asked=1)), hpa.wanted(NOTHING._replace(at=15.0, asked=4))]

    assert looks == [4, 8]


def test_a_behavior_lets_the_hpa_up_at_once_and_down_after_its_window() -> None:
    hpa = PEERS["hpa-behavior"](KNOWN)

    assert hpa.wanted(NOTHING._replace(at=0.0, ready=6000, asked=1)) == 50
    assert [hpa.wanted(NOTHING._replace(at=at, asked=50)) for at in (15.0, 45.0, 60.0)] == [50, 50, 1]


def test_the_hpa_waits_five_minutes_on_the_way_down_and_keeps_one() -> None:
    hpa = PEERS["hpa"](KNOWN)
    story(hpa, ready=600, seconds=0, asked=10)

    looks = [hpa.wanted(NOTHING._replace(at=at, asked=10)) for at in (15.0, 285.0, 300.0)]

    assert looks == [10, 10, 1]


def test_keda_leaves_zero_at_its_own_poll_and_goes_back_after_its_cooldown() -> None:
    keda = PEERS["keda-default"](KNOWN)

    assert [keda.wanted(NOTHING._replace(at=at, ready=1)) for at in (15.0, 30.0)] == [0, 1]
    assert [keda.wanted(NOTHING._replace(at=at, asked=1)) for at in (60.0, 300.0, 315.0, 330.0)] == [1, 1, 1, 0]


def test_keda_on_the_list_does_not_see_what_workers_have_fetched() -> None:
    assert story(PEERS["keda-list"](KNOWN), ready=0, held=5, seconds=5) == [(0.0, 0)]
    assert story(PEERS["keda"](KNOWN), ready=0, held=5, seconds=5) == [(0.0, 0), (0.0, 1)]


def test_knative_panics_when_twice_as_much_is_there_as_fits() -> None:
    changes = story(PEERS["knative"](KNOWN), ready=28, seconds=4, asked=1)

    assert changes[-1][1] == 10  # 28 jobs at 70 % of four threads


def test_knative_counts_pods_that_end_no_more() -> None:
    knative = PEERS["knative"](KNOWN)

    assert knative.wanted(NOTHING._replace(held=23, asked=8, working=12, draining=4)) == 9
    assert knative.wanted(NOTHING._replace(at=2.0, held=4, asked=8, working=12, draining=4)) == 5


def test_wpa_never_goes_below_what_the_messages_of_a_minute_need() -> None:
    wpa = PEERS["wpa"](KNOWN)
    wpa.wanted(NOTHING._replace(at=0.0, arrived=0))

    assert wpa.wanted(NOTHING._replace(at=60.0, arrived=600)) == 5  # ten a second at half a second each


def test_aws_acts_on_three_minutes_above_its_target() -> None:
    assert story(PEERS["aws"](KNOWN), ready=120, seconds=120, asked=1) == [(0.0, 1), (120.0, 2)]


@pytest.mark.parametrize("name", PEERS)
def test_has_the_same_minimum_as_the_pool(name: str) -> None:
    peer = PEERS[name](replace(KNOWN, least=3))

    sizes = [size for _, size in story(peer, ready=0, seconds=2 * 3600, asked=7)]

    assert (peer.least, min(sizes), sizes[-1]) == (3, 3, 3)


def test_all_replicas_at_once_are_no_fewer_than_the_minimum_when_nothing_is_to_do() -> None:
    reacting = AllAtOnce(most=50, least=2)

    assert [reacting.wanted(NOTHING), reacting.wanted(NOTHING._replace(ready=1))] == [2, 50]


@pytest.mark.parametrize("name", PEERS)
def test_holds_what_it_has_while_redis_is_away(name: str) -> None:
    assert PEERS[name](KNOWN).wanted(NOTHING._replace(asked=7, working=7, is_blind=True)) == 7
