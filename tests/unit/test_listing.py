"""`crewcall top`: which pools come first, and how they fit a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.looks import NOW, looked_at

from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.inspection.listing import Row, rows, table
from crewcall_operator.inspection.live import none_in

QUIET = Observation((QueueState("sms"), QueueState("email")))


def a_shop() -> list[dict[str, Any]]:
    new = looked_at("brand-new")
    del new["status"]
    return [looked_at("digests", QUIET, current=0), looked_at(), looked_at("reports", observed=None), new]


def drawn(width: int = 80, height: int = 20) -> list[str]:
    shown = table(rows(a_shop()), NOW, width, height, all_namespaces=True).plain.splitlines()
    return [line.rstrip() for line in shown]


def test_lists_those_in_trouble_first_and_then_by_what_waits() -> None:
    assert drawn()[2:] == [
        "POOL                REPLICAS READY BACKLOG  OLDEST DEAD  REASON",
        "shop/reports               4     4       ?       ?    ?  RedisUnavailable",
        "shop/brand-new             ?     ?       ?            ?  not looked at yet",
        "shop/notifications     4 → 7     4     120    4.1s    2  ScaleUpLimit",
        "shop/digests               0     0       0            0  Idle",
    ]


def test_sums_up_what_is_known_and_says_that_it_may_be_more() -> None:
    assert drawn()[0].startswith("4 pools · ≥8 replicas · backlog ≥120 · 1 in trouble · ")


def test_one_pool_is_not_called_pools() -> None:
    assert table(rows([looked_at()]), NOW, 80, 20, all_namespaces=True).plain.startswith("1 pool · 4 replicas · ")


def test_a_wide_terminal_has_room_for_what_is_in_flight() -> None:
    assert "IN FLIGHT" in drawn(100)[2]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("height", [5, 20])
def test_keeps_within_the_terminal(width: int, height: int) -> None:
    shown = drawn(width, height)

    assert len(shown) <= height
    assert [line for line in shown if len(line) > width] == []


def test_counts_the_pools_that_have_no_room() -> None:
    assert drawn(height=5)[-1] == "and 3 more"


def test_the_json_of_a_row_has_the_apis_names() -> None:
    (row,) = rows([looked_at()])

    assert row.as_json() == {
        "namespace": "shop",
        "name": "notifications",
        "mode": "Auto",
        "healthy": True,
        "current": 4,
        "desired": 7,
        "ready": 4,
        "backlog": 120,
        "inFlight": 40,
        "oldest": "4.1s",
        "dead": 2,
        "reason": "ScaleUpLimit",
        "message": "120 ready, oldest 4.1 s, 1 due, 40 in flight; 9 wanted, behavior.scaleUp allows 7 for now",
        "written": "2026-01-02T12:00:00Z",
    }


def test_says_where_no_pools_are() -> None:
    assert [none_in(None), none_in("shop")] == [
        "There are no WorkerPools in any namespace.",
        "There are no WorkerPools in namespace shop; -A looks in all.",
    ]


def test_a_pool_without_a_queue_read_has_no_backlog_rather_than_none() -> None:
    body = looked_at(observed=None)
    row: Row = rows([body])[0]

    assert (row.backlog, row.in_flight, row.dead, row.oldest) == (None, None, None, "?")
