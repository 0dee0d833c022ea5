"""What a pool's charts draw."""

from __future__ import annotations

from crewcall_worker.board.pages.chart import chart
from crewcall_worker.board.reading.pools import History
from crewcall_worker.wire import HistoryEntry


def test_a_chart_has_columns_and_decisions_and_leaves_gaps_where_nothing_was_known() -> None:
    history = History(
        "pool",
        0,
        60_000,
        (
            HistoryEntry(1_500, ready=0, in_flight=0, delayed=0, desired=1, current=1, ready_replicas=1),
            HistoryEntry(2_000, desired=1, current=1),
            HistoryEntry(3_000, ready=90, in_flight=8, delayed=2, oldest_ms=4_100, desired=3, current=1,
                         ready_replicas=1, reason="BacklogDrain", message="90 ready"),
        ),
    )  # fmt: skip

    assert chart(history) == {
        "from": 0.0,
        "to": 60.0,
        "at": [1.5, 2.0, 3.0],
        "ready": [0, None, 90],
        "in_flight": [0, None, 8],
        "delayed": [0, None, 2],
        "oldest": [0.0, None, 4.1],
        "desired": [1, 1, 3],
        "current": [1, 1, 1],
        "ready_replicas": [1, None, 1],
        "decisions": [{"at": 3.0, "from": 1, "to": 3, "reason": "BacklogDrain", "message": "90 ready"}],
    }
