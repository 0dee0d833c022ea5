"""How a worker stands to new work: a table of what each event makes of each state, and what is to be done then.

Pure. Carrying the actions out belongs to `steward`, and telling when an event has come to it, `presence` and `intake`.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from crewcall_worker.wire import WorkerState


class State(Enum):
    """DRAINING and DRAINED can be withdrawn; STOPPING and STOPPED are the way out of the process."""

    RUNNING = auto()
    """It fetches jobs and runs them."""
    DRAINING = auto()
    """It fetches none, and finishes what it runs, however long that takes."""
    DRAINED = auto()
    """It holds no message, and waits to be taken away or to be asked to work."""
    STOPPING = auto()
    """It fetches none, and finishes what it runs within the time that there is."""
    STOPPED = auto()
    """It holds no message that it goes on with; the process ends."""


class Event(Enum):
    """What a worker hears of."""

    ORDER = auto()
    """The pod is asked to drain."""
    WITHDRAW = auto()
    """The pod is asked to work, or no longer asked to drain."""
    IDLE = auto()
    """No message of any queue is held any more, and none will come in."""
    SIGTERM = auto()
    """The process is asked to end."""
    TIMEOUT = auto()
    """The time that running jobs were given is over."""
    FENCED = auto()
    """The worker had been declared dead, and what it held was given to others."""


class Action(Enum):
    """What is to be done on the way from one state to the next."""

    CLOSE = auto()
    """Stop fetching, and give back to their queues what has not been begun."""
    OPEN = auto()
    """Fetch again."""
    START_CLOCK = auto()
    """The running jobs' time begins."""
    RENEW = auto()
    """Forget what was held, and register under a new id."""
    CUT_OFF = auto()
    """Put the running jobs' messages back, as the last thing before the process ends."""


Step = tuple[State, tuple[Action, ...]]

TABLE: Final[dict[tuple[State, Event], Step]] = {
    (State.RUNNING, Event.ORDER): (State.DRAINING, (Action.CLOSE,)),
    (State.RUNNING, Event.WITHDRAW): (State.RUNNING, ()),
    (State.RUNNING, Event.IDLE): (State.RUNNING, ()),
    (State.RUNNING, Event.SIGTERM): (State.STOPPING, (Action.CLOSE, Action.START_CLOCK)),
    (State.RUNNING, Event.TIMEOUT): (State.RUNNING, ()),
    (State.RUNNING, Event.FENCED): (State.RUNNING, (Action.RENEW,)),
    # An order has no time limit: a job of any length survives it.
    (State.DRAINING, Event.ORDER): (State.DRAINING, ()),
    (State.DRAINING, Event.WITHDRAW): (State.RUNNING, (Action.OPEN,)),
    (State.DRAINING, Event.IDLE): (State.DRAINED, ()),
    (State.DRAINING, Event.SIGTERM): (State.STOPPING, (Action.START_CLOCK,)),
    (State.DRAINING, Event.TIMEOUT): (State.DRAINING, ()),
    (State.DRAINING, Event.FENCED): (State.DRAINING, (Action.RENEW,)),
    (State.DRAINED, Event.ORDER): (State.DRAINED, ()),
    (State.DRAINED, Event.WITHDRAW): (State.RUNNING, (Action.OPEN,)),
    (State.DRAINED, Event.IDLE): (State.DRAINED, ()),
    (State.DRAINED, Event.SIGTERM): (State.STOPPED, ()),
    (State.DRAINED, Event.TIMEOUT): (State.DRAINED, ()),
    (State.DRAINED, Event.FENCED): (State.DRAINED, (Action.RENEW,)),
    # A signal cannot be withdrawn: whoever sent it waits for the process to end.
    (State.STOPPING, Event.ORDER): (State.STOPPING, ()),
    (State.STOPPING, Event.WITHDRAW): (State.STOPPING, ()),
    (State.STOPPING, Event.IDLE): (State.STOPPED, ()),
    (State.STOPPING, Event.SIGTERM): (State.STOPPED, (Action.CUT_OFF,)),
    (State.STOPPING, Event.TIMEOUT): (State.STOPPED, (Action.CUT_OFF,)),
    (State.STOPPING, Event.FENCED): (State.STOPPING, (Action.RENEW,)),
    (State.STOPPED, Event.ORDER): (State.STOPPED, ()),
    (State.STOPPED, Event.WITHDRAW): (State.STOPPED, ()),
    (State.STOPPED, Event.IDLE): (State.STOPPED, ()),
    (State.STOPPED, Event.SIGTERM): (State.STOPPED, ()),
    (State.STOPPED, Event.TIMEOUT): (State.STOPPED, ()),
    (State.STOPPED, Event.FENCED): (State.STOPPED, ()),
}

TOLD: Final = {
    State.RUNNING: WorkerState.RUNNING,
    State.DRAINING: WorkerState.DRAINING,
    State.DRAINED: WorkerState.DRAINED,
    State.STOPPING: WorkerState.DRAINING,
    State.STOPPED: WorkerState.DRAINED,
}
"""What the worker's record says of each state."""
