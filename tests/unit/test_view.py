from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path

from rich.console import Console
from tests.support.pools import pool, seen
from tests.support.waiting import DEADLINE

from crewcall_operator.adapters.worker_process import ProcessState, WorkerStatus
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.observation import Fleet, Observation, QueueState
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.local.frame import Frame, sparkline
from crewcall_operator.local.history import History
from crewcall_operator.local.lines import Lines
from crewcall_operator.local.names import names_of
from crewcall_operator.local.view import PlainView
from crewcall_operator.ports import Report

POOL = pool("notifications")
NAMES = names_of([POOL.key])
LOG = Path("worker.log")
NOON = datetime(2026, 1, 1, 12, 0, 0).timestamp()
BUSY = Observation((QueueState("sms", ready=120, in_flight=32, delayed=3),))


def wall(at: float) -> float:
    return NOON + at


def worker(number: int, state: ProcessState = ProcessState.RUNNING, note: str = "", restarts: int = 0) -> WorkerStatus:
    pid = None if state is ProcessState.BACK_OFF else 100 + number
    return WorkerStatus(f"notifications-{number}", state, pid, 12.0, restarts, LOG, note)


def frame(*reports: Report, workers: Sequence[WorkerStatus] = (), told: Sequence[str] = ()) -> Frame:
    history = History(clock=lambda: 10.0)
    for report in reports:
        history.report(report)
    for words in told:
        history.happened(POOL.key, words)
    return Frame(["Crewcall local", "REDIS_URL=redis://127.0.0.1:6379/0"], history, lambda _: workers, wall, NAMES)


def scaled(at: float = 10.0) -> Report:
    decision = Decision(7, Reason.BACKLOG_DRAIN, "120 ready, oldest 4.1 s, 32 in flight; 7 replicas at 20 each")
    return Report(POOL, at, BUSY, None, Fleet(4, 3), decision, applied=True)


def drawn(shown: Frame, width: int = 80, height: int = 40, now: float = 10.0) -> list[str]:
    return shown.draw(now, width, height, "Ctrl-C drains.").plain.splitlines()


def test_shows_what_waits_who_works_and_what_was_decided() -> None:
    workers = [worker(1, restarts=3), worker(2, ProcessState.BACK_OFF, "was killed by SIGKILL; starts again in 4 s")]

    assert drawn(frame(scaled(), workers=workers, told=["notifications-2 was killed"]), width=100) == [
        "Crewcall local",
        "REDIS_URL=redis://127.0.0.1:6379/0",
        "",
        " POOL           OUTSTANDING                            READY  IN FLIGHT  DELAYED   REPLICAS  RUNNING",
        " notifications                                      █    120         32        3      4 → 7        1",
        "   BacklogDrain  120 ready, oldest 4.1 s, 32 in flight; 7 replicas at 20 each",
        "   notifications-1  running            12 s   pid 101   restarts 3",
        "   notifications-2  CrashLoopBackOff   12 s   was killed by SIGKILL; starts again in 4 s",
        "",
        " 12:00:10  notifications  notifications-2 was killed",
        " 12:00:10  notifications  4 → 7  120 ready, oldest 4.1 s, 32 in flight; 7 replicas at 20 each",
        "",
        " Ctrl-C drains.",
    ]


def test_fits_any_width() -> None:
    shown = frame(scaled(), workers=[worker(1)])

    assert [max(map(len, drawn(shown, width=width))) for width in (120, 80, 62, 40, 10)] == [120, 80, 62, 40, 10]


def test_leaves_out_workers_that_are_well_where_there_is_no_room_and_says_how_many() -> None:
    workers = [*(worker(number) for number in range(1, 30)), worker(30, ProcessState.DRAINING)]

    lines = drawn(frame(scaled(), workers=workers), height=15)

    assert len(lines) == 15
    assert lines[6:11] == [
        "   notifications-30  draining   12 s   pid 130",
        "   notifications-1   running    12 s   pid 101",
        "   notifications-2   running    12 s   pid 102",
        "   notifications-3   running    12 s   pid 103",
        "   and 26 more",
    ]


def test_shows_a_question_mark_for_what_nobody_knows() -> None:
    silent = Report(
        POOL,
        10.0,
        None,
        QueueUnavailable("redis:6379/0", "no answer"),
        Fleet(4, 4),
        Decision(4, Reason.REDIS_UNAVAILABLE, "Redis has not answered for 3 s; keeping what runs"),
    )

    assert drawn(frame(silent))[4:6] == [
        " notifications                         ?          ?        ?          4        0",
        "   RedisUnavailable  Redis has not answered for 3 s; keeping what runs",
    ]


def test_shows_why_the_workers_cannot_be_run() -> None:
    failed = Report(POOL, 10.0, seen(), failure=TargetUnavailable("FailedUpdateScale", "nope cannot be started"))

    assert drawn(frame(failed))[4:6] == [
        " notifications                  ▁      0          0        0          ?        0",
        "   nope cannot be started",
    ]


def test_names_the_dead_letters() -> None:
    dead = Observation((QueueState("sms", dead=2),))
    idle = Report(POOL, 10.0, dead, None, Fleet(0, 0), Decision(0, Reason.IDLE, "nothing is outstanding"))

    assert drawn(frame(idle))[5] == "   Idle  nothing is outstanding  2 dead letters"


def test_draws_the_last_minute_as_a_line_with_blanks_where_nothing_was_seen() -> None:
    ages = {59.0: 100, 30.0: 50, 29.0: 10, 10.0: None, 0.0: 0}
    reports = [Report(POOL, 100.0 - age, None if jobs is None else seen(jobs)) for age, jobs in ages.items()]

    assert sparkline(reports, now=100.0, width=6) == "█ ▅▂ ▁"


def test_draws_nothing_older_than_a_minute() -> None:
    assert sparkline([Report(POOL, 0.0, seen(5))], now=60.1, width=6) == "      "


def test_writes_a_line_for_each_change_where_there_is_no_terminal() -> None:
    output = StringIO()
    view = PlainView(Console(file=output), ["Crewcall local"], wall, NAMES)
    history = History(clock=lambda: 10.0, follow=view.follow)
    with view:
        view.refresh("Ctrl-C drains.")
        history.report(scaled())
        view.refresh("Ctrl-C drains.")
        history.happened(POOL.key, "notifications-2 was killed")
        view.refresh("Draining 7 workers.")

    assert output.getvalue().splitlines() == [
        "Crewcall local",
        "Ctrl-C drains.",
        "12:00:10 notifications  4 → 7 replicas, BacklogDrain: 120 ready, oldest 4.1 s, 32 in flight; "
        "7 replicas at 20 each",
        "12:00:10 notifications  notifications-2 was killed",
        "Draining 7 workers.",
    ]


def test_a_pools_namespace_is_told_only_where_another_pool_has_its_name() -> None:
    alone, here, there = PoolKey("shop", "sms"), PoolKey("shop", "mail"), PoolKey("blog", "mail")

    assert names_of([alone, here, there]) == {alone: "sms", here: "shop/mail", there: "blog/mail"}


def test_two_pools_of_one_name_are_told_apart() -> None:
    theirs = replace(POOL, key=PoolKey("blog", "notifications"))
    names = names_of([POOL.key, theirs.key])
    output = StringIO()
    view = PlainView(Console(file=output), [], wall, names)
    history = History(clock=lambda: 10.0, follow=view.follow)
    with view:
        history.report(scaled())
        history.report(replace(scaled(), pool=theirs))

    lines = Frame(["Crewcall local"], history, lambda _: (), wall, names).draw(10.0, 80, 40, "").plain.splitlines()

    assert [line.split()[1] for line in output.getvalue().splitlines()] == ["shop/notifications", "blog/notifications"]
    assert [line.split()[0] for line in lines if "4 → 7 " in line and "█" in line] == [
        "shop/notifications",
        "blog/notifications",
    ]
    assert [line.split()[1] for line in lines if line.startswith(" 12:")] == [
        "blog/notifications",
        "shop/notifications",
    ]


class Stalled(StringIO):
    """A terminal that is stopped until `goes_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.is_asked = threading.Event()

    def write(self, text: str) -> int:
        self.is_asked.set()
        assert self.goes_on.wait(DEADLINE)
        return super().write(text)


def test_a_reader_who_stalls_holds_nobody_up_and_misses_the_oldest_lines() -> None:
    output = Stalled()
    lines = Lines(lambda line: output.write(f"{line}\n"), most_waiting=3)
    lines.start()
    lines.put("first")
    assert output.is_asked.wait(DEADLINE)

    for number in range(10):
        lines.put(f"{number}")
    output.goes_on.set()
    lines.end(within=DEADLINE)

    assert output.getvalue().splitlines() == [
        "first",
        "(7 lines are left out: they were not read in time)",
        "7",
        "8",
        "9",
    ]


def test_a_stalled_terminal_does_not_hold_up_who_reports() -> None:
    output = Stalled()
    view = PlainView(Console(file=output), ["Crewcall local"], wall, NAMES)
    history = History(clock=lambda: 10.0, follow=view.follow)
    with view:
        assert output.is_asked.wait(DEADLINE)
        history.happened(POOL.key, "notifications-2 was killed")
        output.goes_on.set()

    assert output.getvalue().splitlines()[-1] == "12:00:10 notifications  notifications-2 was killed"
