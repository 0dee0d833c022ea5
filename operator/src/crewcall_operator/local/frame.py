"""One picture of all pools as lines of text: what is waiting, who works, what was decided and why.

Drawn from values alone, so that every width can be tested without a terminal. Putting it on one is in `view`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from crewcall_operator.adapters.worker_process import ProcessState, WorkerStatus
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.local.history import Decided, Entry, History
from crewcall_operator.ports import Report

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_SECONDS = 60.0
LONGEST_SPARKLINE = 60
ENTRIES_SHOWN = 6
STYLES = {
    ProcessState.STARTING: "yellow",
    ProcessState.RUNNING: "green",
    ProcessState.BACK_OFF: "red",
    ProcessState.DRAINING: "cyan",
    ProcessState.GONE: "dim",
}
NUMBERS = (("READY", 7), ("IN FLIGHT", 11), ("DELAYED", 9), ("REPLICAS", 11), ("RUNNING", 9))

Workers = Callable[[PoolKey], Sequence[WorkerStatus]]
Wall = Callable[[float], float]
"""The time of day, in Unix seconds, at a moment of the engine's clock."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known, and the title above it. `draw` may be called at any time."""

    title: Sequence[str]
    history: History
    workers: Workers
    wall: Wall
    names: Mapping[PoolKey, str]

    def draw(self, now: float, width: int, height: int, footer: str) -> Text:
        """At `now`, in `width` columns and at most `height` lines as long as the pools leave room."""
        pools = [(key, list(reports)) for key, reports in self.history.reports.items() if reports]
        news = [entry for entry in self.history.entries if not isinstance(entry, Decided) or entry.applied]
        news = news[: -ENTRIES_SHOWN - 1 : -1]
        fixed = len(self.title) + 2 * len(pools) + len(news) + 5
        room = max(1, (height - fixed) // max(1, len(pools)))
        lines = [
            *(Text(line, style="dim" if above else "bold") for above, line in enumerate(self.title)),
            Text(),
            *self._pools(pools, now, width, room),
            Text(),
            *(self._news(entry) for entry in news),
            *([Text()] if news else []),
            Text(f" {footer}", style="dim"),
        ]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Text("\n", no_wrap=True).join(lines)

    def _pools(
        self, pools: Sequence[tuple[PoolKey, list[Report]]], now: float, width: int, room: int
    ) -> Iterator[Text]:
        names = max([len("POOL"), *(len(self.names[key]) for key, _ in pools)])
        spark = min(width - names - 3 - sum(columns for _, columns in NUMBERS), LONGEST_SPARKLINE)
        outstanding = f"  {'OUTSTANDING':<{spark}.{spark}}" if spark > 0 else ""
        yield Text(f" {'POOL':<{names}}{outstanding}{_columns([name for name, _ in NUMBERS])}", style="dim")
        for key, reports in pools:
            workers = self.workers(key)
            line = Text(f" {self.names[key]:<{names}}", style="bold")
            if spark > 0:
                line.append(f"  {sparkline(reports, now, spark)}", style="not bold blue")
            yield line.append(_columns(_numbers(reports[-1], workers)))
            yield _why(reports[-1])
            yield from _workers(workers, room)

    def _news(self, entry: Entry) -> Text:
        text = Text.assemble(" ", (time_of_day(self.wall(entry.at)), "dim"), f"  {self.names[entry.key]}  ")
        if isinstance(entry, Decided):
            return text.append(f"{entry.before} → {entry.after}", style="bold").append(f"  {entry.message}")
        return text.append(entry.text, style="yellow")


def sparkline(reports: Sequence[Report], now: float, width: int) -> str:
    """The last minute's outstanding jobs, highest of each slice; a blank where nothing was seen."""
    slices: list[int | None] = [None] * width
    for report in reversed(reports):
        slot = width - 1 - int((now - report.at) / SPARKLINE_SECONDS * width)
        if slot < 0:
            break
        if report.observation is not None and slot < width:
            slices[slot] = max(slices[slot] or 0, report.observation.outstanding)
    top = max([1, *(value for value in slices if value is not None)])
    return "".join(" " if value is None else BLOCKS[-(-value * (len(BLOCKS) - 1) // top)] for value in slices)


def time_of_day(unix_seconds: float) -> str:
    """Hours, minutes and seconds on this machine's clock."""
    return datetime.fromtimestamp(unix_seconds).astimezone().strftime("%H:%M:%S")


def replicas(current: int, desired: int) -> str:
    """ "4 → 7", or "4" where that is what is wanted."""
    return str(current) if current == desired else f"{current} → {desired}"


def _columns(values: Sequence[str]) -> str:
    return "".join(f"{value:>{columns}}" for value, (_, columns) in zip(values, NUMBERS, strict=True))


def _numbers(report: Report, workers: Sequence[WorkerStatus]) -> list[str]:
    seen = report.observation
    backlog = ["?"] * 3 if seen is None else [seen.ready, seen.in_flight, sum(queue.delayed for queue in seen.queues)]
    running = sum(worker.state in {ProcessState.RUNNING, ProcessState.DRAINING} for worker in workers)
    if report.fleet is None:
        return [*map(str, backlog), "?", str(running)]
    desired = report.fleet.current if report.decision is None else report.decision.replicas
    return [*map(str, backlog), replicas(report.fleet.current, desired), str(running)]


def _why(report: Report) -> Text:
    if report.failure is not None:
        return Text(f"   {report.failure}", style="red")
    if report.decision is None:
        return Text()
    dead = 0 if report.observation is None else sum(queue.dead for queue in report.observation.queues)
    style = "red" if report.unavailable else "cyan"
    text = Text.assemble("   ", (report.decision.reason.value, style), f"  {report.decision.message}")
    return text.append(f"  {dead} dead letters", style="red") if dead else text


def _workers(workers: Sequence[WorkerStatus], room: int) -> Iterator[Text]:
    # Those that need looking at are never the ones that are left out.
    shown = sorted(workers, key=lambda worker: worker.state is ProcessState.RUNNING) if len(workers) > room else workers
    shown = shown if len(shown) <= room else shown[: room - 1]
    names = max((len(worker.name) for worker in shown), default=0)
    states = max([len(ProcessState.STARTING), *(len(worker.state) for worker in shown)])
    for worker in shown:
        since = f"{worker.for_seconds:.0f} s" if worker.for_seconds < 100 else f"{worker.for_seconds / 60:.0f} min"
        pid = "" if worker.pid is None else f"   pid {worker.pid}"
        line = Text.assemble(f"   {worker.name:<{names}}  ", (f"{worker.state.value:<{states}}", STYLES[worker.state]))
        said = worker.note or (f"restarts {worker.restarts}" if worker.restarts else "")
        yield line.append(f"{since:>7}{pid}").append(f"   {said}" if said else "")
    if len(shown) < len(workers):
        yield Text(f"   and {len(workers) - len(shown)} more", style="dim")
