"""Pools as a table, those in trouble first: for `crewcall top`. Pure; from the WorkerPools as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from crewcall_operator.inspection.explanation import written_at
from crewcall_operator.inspection.page import printable

NUMBERS: Final = (("REPLICAS", 10), ("READY", 6), ("BACKLOG", 8), ("IN FLIGHT", 10), ("OLDEST", 8), ("DEAD", 5))

#: The column that there is room for only on a wide terminal, and what is wide.
LEFT_OUT: Final = "IN FLIGHT"
WIDE: Final = 100

REASON: Final = 18
MOVING: Final = "cyan"


@dataclass(frozen=True, slots=True)
class Row:
    """One pool; a number is None where it is not known. `reason` and `message` are those of its Ready condition."""

    namespace: str
    name: str
    mode: str
    healthy: bool | None
    current: int | None
    desired: int | None
    ready: int | None
    backlog: int | None
    in_flight: int | None
    oldest: str
    dead: int | None
    reason: str
    message: str
    written: str | None

    @property
    def urgency(self) -> tuple[int, int, str, str]:
        """In trouble first, then never looked at, then by what waits."""
        rank = {False: 0, None: 1, True: 2}[self.healthy]
        return rank, -(self.backlog or 0), self.namespace, self.name

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["inFlight"] = found.pop("in_flight")
        return found


def rows(bodies: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row for each pool, the most urgent first."""
    return sorted((_row(body) for body in bodies), key=lambda row: row.urgency)


def table(found: Sequence[Row], now: datetime, width: int, height: int, *, all_namespaces: bool) -> Text:
    """The rows in `width` columns and `height` lines; what has no room is counted."""
    names = [f"{row.namespace}/{row.name}" if all_namespaces else row.name for row in found]
    shown = [(head, columns) for head, columns in NUMBERS if width >= WIDE or head != LEFT_OUT]
    fixed = sum(columns for _, columns in shown) + 2 + REASON
    longest = max([len("POOL"), *map(len, names)])
    space = max(12, min(longest, width - fixed))
    lines = [_summary(found, now), Text()]
    heads = "".join(f"{name:>{columns}}" for name, columns in shown)
    lines.append(Text(f"{'POOL':<{space}}{heads}  REASON", style="dim"))
    room = max(1, height - len(lines) - 1)
    for row, name in list(zip(found, names, strict=True))[:room]:
        lines.append(_line(row, name, space, shown))
    if len(found) > room:
        lines.append(Text(f"and {len(found) - room} more", style="dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return printable(Text("\n", no_wrap=True).join(lines))


def _summary(found: Sequence[Row], now: datetime) -> Text:
    troubled = sum(row.healthy is False for row in found)
    pools = "1 pool" if len(found) == 1 else f"{len(found)} pools"
    text = Text.assemble((pools, "bold"), f" · {_total(row.current for row in found)} replicas")
    text.append(f" · backlog {_total(row.backlog for row in found)}")
    if troubled:
        text.append(f" · {troubled} in trouble", style="red")
    return text.append(f" · {now.astimezone():%H:%M:%S}", style="dim")


def _total(values: Iterable[int | None]) -> str:
    known = list(values)
    return f"{'≥' if None in known else ''}{sum(value or 0 for value in known)}"


def _line(row: Row, name: str, space: int, columns: Sequence[tuple[str, int]]) -> Text:
    shown = name if len(name) <= space else f"{name[: space - 1]}…"
    line = Text(f"{shown:<{space}}", style="bold" if row.healthy else "")
    replicas = "?" if row.current is None else str(row.current)
    is_moving = row.desired is not None and row.desired != row.current
    cells = {
        "REPLICAS": (f"{replicas} → {row.desired}" if is_moving else replicas, MOVING if is_moving else ""),
        "READY": (_number(row.ready), ""),
        "BACKLOG": (_number(row.backlog), ""),
        "IN FLIGHT": (_number(row.in_flight), ""),
        "OLDEST": (row.oldest, ""),
        "DEAD": (_number(row.dead), "red" if row.dead else ""),
    }
    for head, size in columns:
        cell, style = cells[head]
        line.append(f"{cell:>{size}}", style=f"not bold {style}".strip())
    color = {True: "not bold", False: "not bold red", None: "not bold yellow"}[row.healthy]
    return line.append(f"  {row.reason}", style=color)


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _row(body: Mapping[str, Any]) -> Row:
    status = body.get("status") or {}
    ready = next((found for found in status.get("conditions", ()) if found["type"] == "Ready"), None)
    queues = status.get("queues", ())
    written = written_at(body)
    return Row(
        namespace=body["metadata"]["namespace"],
        name=body["metadata"]["name"],
        mode=body["spec"].get("mode", "Auto"),
        healthy=None if ready is None else ready["status"] == "True",
        current=status.get("replicas"),
        desired=status.get("desiredReplicas"),
        ready=status.get("readyReplicas"),
        backlog=_sum(queues, "ready"),
        in_flight=_sum(queues, "inFlight"),
        oldest=status.get("oldest", ""),
        dead=_sum(queues, "dead"),
        reason="not looked at yet" if ready is None else ready["reason"],
        message="" if ready is None else ready["message"],
        written=None if written is None else written.isoformat().replace("+00:00", "Z"),
    )


def _sum(queues: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """Over the queues that were ever seen; not known where one's is not, or there is no such queue."""
    seen = [queue for queue in queues if queue.get("seen")]
    if not seen or any(name not in queue for queue in seen):
        return None
    return sum(int(queue[name]) for queue in seen)
