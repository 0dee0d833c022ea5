"""Who keeps a worker's state: hears of events, looks up in `states` what they mean, and does it.

Events come from signal handlers, from the presence and from the intake, in whatever thread; they wait in a line, and
one thread, the process's first, takes them one by one. So nothing here needs a lock.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from uuid import uuid4

from crewcall_worker.intake import Intake
from crewcall_worker.states import TABLE, TOLD, Action, Event, State
from crewcall_worker.wire import WorkerState

TELL_EVERY = 10.0
"""Seconds between two reports of what still runs while the process waits to end."""
JOBS_TOLD = 5
LOOK_UP_EVERY = 1.0
"""Seconds. A signal in the instant before a wait begins does not end it: Python calls its handler after the wait."""

log = logging.getLogger(__name__)


class Steward:
    """A worker's state. Begins RUNNING, but lets messages in only with `attend`."""

    def __init__(
        self,
        intake: Intake,
        timeout: float,
        on_change: Callable[[], object] = lambda: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout` is the seconds that running jobs are given once the process is to end."""
        self.state = State.RUNNING
        self.is_cut_off = False
        """Whether running jobs' messages are to be put back, for the process ends before they do."""
        self.timeout = timeout
        self._intake = intake
        self._on_change = on_change
        self._steady = steady
        # A plain queue, for its `put` may be called from a signal handler; Event.set() may not: it can lock up.
        self._heard: SimpleQueue[tuple[Event, str]] = SimpleQueue()
        self._heard_at: deque[float] = deque()
        self._deadline: float | None = None
        self._tell_at = 0.0

    @property
    def told(self) -> WorkerState:
        """The state as the worker's record has it."""
        return TOLD[self.state]

    @property
    def unattended_since(self) -> float | None:
        """When the oldest event came that is not done with, by `steady`; None where there is none."""
        try:
            return self._heard_at[0]
        except IndexError:
            return None

    def hear(self, event: Event, source: str = "") -> None:
        """Note an event, and where it is from if that is told; any thread may call this, and a signal handler."""
        self._heard_at.append(self._steady())
        self._heard.put((event, source or event.name))

    def attend(self, until: frozenset[State]) -> None:
        """Take event by event until the state is one of these."""
        while self.state not in until:
            try:
                event, source = self._heard.get(timeout=self._patience())
            except Empty:
                self._look_at_the_clock()
                continue
            if event is not Event.IDLE or self._intake.is_idle():  # it was, when that was told
                self.take(event, source)
            self._heard_at.popleft()

    def take(self, event: Event, source: str) -> None:
        """Do what the event means now."""
        before = self.state
        self.state, actions = TABLE[before, event]
        for action in actions:
            self._do(action, source)
        if self.state is not before:
            log.info("%s: from %s to %s", source, before.name.lower(), self.state.name.lower())
            self._on_change()
            self._intake.tell_if_idle()

    def _do(self, action: Action, source: str) -> None:
        match action:
            case Action.CLOSE:
                self._intake.close()
            case Action.OPEN:
                self._intake.open()
            case Action.START_CLOCK:
                log.info(
                    "%s: finishing the running jobs within %g s; a second signal ends at once", source, self.timeout
                )
                self._deadline = self._steady() + self.timeout
                self._tell_at = self._steady() + TELL_EVERY
            case Action.RENEW:
                self._renew()
            case Action.CUT_OFF:
                log.error("%s: ending at once; the jobs that run are put back, to be run again", source)
                self.is_cut_off = True

    def _renew(self) -> None:
        """Messages fetched under the old id were given to others; what runs of them ends, and counts for nothing."""
        old = self._intake.worker_id
        self._intake.renew(str(uuid4()))
        log.warning("This worker was declared dead as %s; it goes on as %s", old, self._intake.worker_id)
        self._on_change()

    def _patience(self) -> float:
        if self._deadline is None:
            return LOOK_UP_EVERY
        return max(0.0, min(LOOK_UP_EVERY, self._deadline - self._steady()))

    def _look_at_the_clock(self) -> None:
        now = self._steady()
        if self._deadline is None:
            return
        if now >= self._deadline:
            self.take(Event.TIMEOUT, f"{self.timeout:g} s are over")
        elif now >= self._tell_at:
            self._tell_at = now + TELL_EVERY
            self._tell_what_runs()

    def _tell_what_runs(self) -> None:
        begun = sorted(self._intake.running.values(), key=lambda run: run.began)
        now = time.monotonic()
        oldest = ", ".join(
            f"{run.message.actor_name} of {run.queue} for {now - run.began:.0f} s" for run in begun[:JOBS_TOLD]
        )
        count = "1 running job" if len(begun) == 1 else f"{len(begun)} running jobs"
        log.info("Waiting for %s; the oldest: %s", count, oldest or "none")
