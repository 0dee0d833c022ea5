"""A type of job: a payload's model, the function that does it, and how its queue treats it.

    class Greet(Payload):
        name: str

    @job("greet.person", queue="greetings", retries=FixedDelays(30, 120))
    def greet(payload: Greet, context: JobContext) -> None:
        print(f"Hello {payload.name}")

A job type is no Dramatiq actor yet, so a producer may import it without a broker. A worker makes actors of all that its
modules have brought into the catalogue: see `actors`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, Protocol, cast, get_type_hints

from typing_extensions import TypeVar

from crewcall_worker.queues.payload import Payload
from crewcall_worker.queues.retries import LONGEST_DELAY, Backoff, RetryPolicy, check_delay
from crewcall_worker.wire import DEAD, DELAYED

P = TypeVar("P", bound=Payload)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True, default=object)

QUEUE = re.compile(r"[a-zA-Z_][a-zA-Z0-9._-]*")
"""Names that Dramatiq takes for a queue (dramatiq/actor.py)."""


SHORTEST_WINDOW = 0.001
"""Seconds: Redis reckons in ms."""


class Priority(IntEnum):
    """Within a queue all that is HIGH is taken before all that is NORMAL, and that before all that is LOW."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Reject(Exception):
    """Raised by a job that will never succeed: it becomes a dead letter at once, with this text as the reason."""


class TryAgain(Exception):
    """Raised by a job that was told when to come again, as by a Retry-After: its next try is no earlier than `after`
    seconds from now. It counts as a try like any other failure."""

    def __init__(self, reason: str, *, after: float) -> None:
        """Raises `ValueError` where `after` is none that a job can wait for; that fails the try as well."""
        super().__init__(reason)
        check_delay("after", after)
        self.after = after


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job is told of itself. `id` is the same at every try, so it serves as an idempotency key; `attempt` is
    1 at the first one."""

    id: str
    name: str
    queue: str
    organization_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Dedupe(Generic[P]):
    """Of jobs with one key within a window, only the first is enqueued. `window` in seconds."""

    key: Callable[[P], str]
    window: float

    def __post_init__(self) -> None:
        if not SHORTEST_WINDOW <= self.window <= LONGEST_DELAY:
            raise ValueError(
                f"window is {self.window!r}; expected seconds, from {SHORTEST_WINDOW} to {LONGEST_DELAY:.0f} "
                "(ten years)"
            )


@dataclass(frozen=True, slots=True)
class RateLimit(Generic[P]):
    """So many starts a `period` (seconds), in bursts of at most `burst`; for each `key` by itself, or for all."""

    limit: int
    period: float = 1.0
    burst: int = 1
    key: Callable[[P], str] | None = None

    def __post_init__(self) -> None:
        if self.limit < 1 or not self.period > 0 or self.burst < 1:
            raise ValueError(f"{self}: expected a limit of at least 1, a period above 0 s and a burst of at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class JobType(Generic[P, R_co]):
    """What `job` makes of a function that returns an `R_co`: for an `async def` that is what can be awaited.
    `stalled_after` is how many seconds a run may take before it is reported as stalled; `time_limit` after how many it
    is ended. `concurrency` is how many jobs of its queue one worker runs at once where the environment does not say;
    None: as many as it has threads."""

    name: str
    queue: str
    payload: type[P]
    run: Callable[[P, JobContext], R_co]
    retries: RetryPolicy
    priority: Priority
    dedupe: Dedupe[P] | None
    rate: RateLimit[P] | None
    stalled_after: float
    time_limit: float
    concurrency: int | None

    def __call__(self, payload: P, context: JobContext) -> R_co:
        """Do it here and now, as a test does; what comes of it is the function's own."""
        return self.run(payload, context)


CATALOGUE: dict[str, JobType[Payload]] = {}
"""Every job type of the modules imported so far, by name."""


class _Maker(Protocol):
    # Not a Callable: its P would be settled where `job` is called, before the function and its payload are known.
    def __call__(self, run: Callable[[P, JobContext], R], /) -> JobType[P, R]: ...


def job(
    name: str,
    *,
    queue: str,
    retries: RetryPolicy | None = None,
    priority: Priority = Priority.NORMAL,
    dedupe: Dedupe[Any] | None = None,
    rate: RateLimit[Any] | None = None,
    stalled_after: float = 300.0,
    time_limit: float = 600.0,
    concurrency: int | None = None,
) -> _Maker:
    """Make a job type of a function of a payload and a context.

    Raises `TypeError` where the function's first parameter is no `Payload` or it is a generator, `ValueError` where
    the name is taken, or the queue's name or one of the numbers is none that it could have.
    """
    _check(name, queue, time_limit, stalled_after, concurrency)

    def make(run: Callable[[P, JobContext], R]) -> JobType[P, R]:
        made = JobType(
            name=name,
            queue=queue,
            payload=_payload_of(name, run),
            run=run,
            retries=retries or Backoff(),
            priority=priority,
            dedupe=dedupe,
            rate=rate,
            stalled_after=stalled_after,
            time_limit=time_limit,
            concurrency=concurrency,
        )
        # A module that is loaded anew says the same job again.
        known = CATALOGUE.get(name)
        if known is not None and _place_of(known.run) != _place_of(run):
            raise ValueError(f"job {name!r} is {_place_of(known.run)} already; name {_place_of(run)} apart")
        CATALOGUE[name] = made
        return made

    return make


def _place_of(run: Callable[..., object]) -> str:
    return f"{run.__module__}.{run.__qualname__}"


def _check(name: str, queue: str, time_limit: float, stalled_after: float, concurrency: int | None) -> None:
    if not QUEUE.fullmatch(queue) or queue.endswith((DELAYED, DEAD)):
        raise ValueError(
            f"job {name!r}: queue is {queue!r}; expected a letter or _, then letters, digits, '.', '_' and '-', and "
            f"neither {DELAYED} nor {DEAD} at the end"
        )
    if not name or min(time_limit, stalled_after) <= 0 or (concurrency is not None and concurrency < 1):
        raise ValueError(
            f"job {name!r}: time_limit={time_limit}, stalled_after={stalled_after}, concurrency={concurrency}; "
            "expected a name, seconds above 0, and a concurrency of 1 or more"
        )


def _payload_of(name: str, run: Callable[[P, JobContext], object]) -> type[P]:
    if inspect.isgeneratorfunction(run) or inspect.isasyncgenfunction(run):
        raise TypeError(f"job {name!r}: it has a yield, so a call would do nothing of it; write one that returns")
    parameters = list(inspect.signature(run).parameters)
    try:
        model = get_type_hints(run).get(parameters[0]) if parameters else None
    except NameError as error:
        raise TypeError(
            f"job {name!r}: {error.name} is not known when the module is run; import it outside of `if TYPE_CHECKING`, "
            "for payloads are checked by it, and declare the job outside of functions"
        ) from error
    if len(parameters) != 2 or not (isinstance(model, type) and issubclass(model, Payload)):
        raise TypeError(f"job {name!r}: expected a function (payload: a Payload, context: JobContext)")
    return cast("type[P]", model)
