"""What a pool's charts draw: columns of figures as uPlot takes them, and the decisions as marks. Pure."""

from __future__ import annotations

from typing import Any

from crewcall_worker.board.reading.pools import History


def chart(history: History) -> dict[str, Any]:
    """Times in seconds since the epoch, ages in seconds; null is a gap, where it was not known."""
    entries = history.entries
    return {
        "from": history.from_ms / 1_000,
        "to": history.to_ms / 1_000,
        "at": [it.at_ms / 1_000 for it in entries],
        "ready": [it.ready for it in entries],
        "in_flight": [it.in_flight for it in entries],
        "delayed": [it.delayed for it in entries],
        # Nothing was ready: nobody waited. That is known, and no gap.
        "oldest": [_seconds(it.oldest_ms, is_empty=it.ready == 0) for it in entries],
        "desired": [it.desired for it in entries],
        "current": [it.current for it in entries],
        "ready_replicas": [it.ready_replicas for it in entries],
        "decisions": [
            {
                "at": it.at_ms / 1_000,
                "from": it.current,
                "to": it.desired,
                "reason": it.reason,
                "message": it.message or "",
            }
            for it in history.decisions
        ],
    }


def _seconds(ms: int | None, *, is_empty: bool) -> float | None:
    if ms is None:
        return 0.0 if is_empty else None
    return ms / 1_000
