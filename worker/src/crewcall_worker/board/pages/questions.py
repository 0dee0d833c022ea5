"""What is asked before an action: what it does, what it leaves alone, and what of it cannot be undone.

One function for each action, by its name in the address. The action itself is in `deeds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crewcall_worker.board.actions import MOST_REPLICAS
from crewcall_worker.board.finding import find_pool
from crewcall_worker.board.pages.target import Target
from crewcall_worker.board.problems import NotThere, Refusal
from crewcall_worker.board.reading.source import Source
from crewcall_worker.board.words import count, plural


@dataclass(frozen=True, slots=True)
class Question:
    """`undo` says how it is undone, or that it cannot be: `is_final`. `ask_for` is "reason", "replicas" (within the
    `bounds`) or nothing."""

    title: str
    words: tuple[str, ...]
    undo: str
    button: str
    is_final: bool = False
    ask_for: str = ""
    value: str = ""
    bounds: tuple[int, int] = (0, MOST_REPLICAS)
    ids: tuple[str, ...] = field(default=())


def ask(action: str, target: Target, source: Source) -> Question:
    """What is asked before this action. Raises `NotThere`, and `Refusal` where something is not named."""
    question = QUESTIONS.get(action)
    if question is None:
        raise NotThere(f"there is no action {action}; expected one of {', '.join(QUESTIONS)}")
    return question(target, source)


def _pause(on: Target, _source: Source) -> Question:
    return Question(
        title=f"Pause queue {_named(on.queue, 'queue')}?",
        words=(
            "No worker with Crewcall's runtime fetches from it any more. What runs goes on to its end; what was "
            "fetched and not begun goes back within about a second.",
            "Jobs can be enqueued as ever, and no pool grows for them. Plain Dramatiq workers do not know of pauses.",
        ),
        undo="Resume it to undo this: no job is lost.",
        button="Pause",
        ask_for="reason",
    )


def _resume(on: Target, source: Source) -> Question:
    waiting = source.views.counts(_named(on.queue, "queue")).ready
    return Question(
        title=f"Resume queue {on.queue}?",
        words=(f"Workers fetch from it at once; {plural(waiting, 'job')} wait." if waiting != 1 else "1 job waits.",),
        undo="Pause it again to undo this; jobs that have begun by then go on.",
        button="Resume",
    )


def _retry(on: Target, _source: Source) -> Question:
    number = len(on.some_ids)
    is_failed = on.state in ("failed", "delayed")
    begins = "A failed job begins its next try now." if is_failed else "A dead letter begins at its first try."
    return Question(
        title=f"Retry {plural(number, 'job')} of queue {_named(on.queue, 'queue')}?",
        words=(
            f"Each goes back into its queue, behind what waits there. {begins}",
            "What a job did before it failed may be done again.",
        ),
        undo="A job that has begun cannot be called back. One that has not can be removed.",
        button="Retry",
        ids=on.ids,
    )


def _retry_all(on: Target, source: Source) -> Question:
    dead = source.views.counts(_named(on.queue, "queue")).dead
    what = f"those with {on.like} among its {plural(dead, 'dead letter')}" if on.like else plural(dead, "dead letter")
    return Question(
        title=f"Retry all dead letters of queue {on.queue}{' that match' if on.like else ''}?",
        words=(
            f"It takes {what}. Each goes back into its queue, the oldest first, and begins at its first try.",
            "What a job did before it failed may be done again. Jobs that die meanwhile are left alone.",
        ),
        undo="Jobs that have begun cannot be called back.",
        button="Retry all",
    )


def _run_now(on: Target, _source: Source) -> Question:
    number = len(on.some_ids)
    return Question(
        title=f"Run {plural(number, 'delayed job')} of queue {_named(on.queue, 'queue')} now?",
        words=(
            "Each goes behind what waits in its queue, instead of waiting for its time.",
            "A rate limit counts all the same.",
        ),
        undo="It cannot be delayed again.",
        button="Run now",
        is_final=True,
        ids=on.ids,
    )


def _remove(on: Target, _source: Source) -> Question:
    number = len(on.some_ids)
    return Question(
        title=f"Remove {plural(number, 'job')} of queue {_named(on.queue, 'queue')}?",
        words=(
            "They are deleted from Redis, with their payload and their errors. A job that a worker has by now stays."
            if number != 1
            else "It is deleted from Redis, with its payload and its errors. If a worker has it by now, it stays.",
        ),
        undo="This cannot be undone: nobody keeps a copy.",
        button="Remove",
        is_final=True,
        ids=on.ids,
    )


def _purge(on: Target, source: Source) -> Question:
    if on.state not in {"ready", "delayed", "completed", "dead"}:
        raise Refusal(f"state is {on.state!r}; expected one of ready, delayed, completed, dead")
    counts = source.views.counts(_named(on.queue, "queue"))
    number = {"ready": counts.ready, "delayed": counts.delayed, "completed": counts.completed, "dead": counts.dead}
    extra = {
        "ready": " What workers have fetched stays.",
        "delayed": " Failed jobs that wait for their next try are among them; the next ticks of schedules stay.",
    }
    return Question(
        title=f"Purge the {on.state} jobs of queue {on.queue}?",
        words=(
            f"All {count(number[on.state])} {on.state} jobs are deleted from Redis, with their payloads."
            + extra.get(on.state, ""),
        ),
        undo="This cannot be undone: nobody keeps a copy.",
        button=f"Purge {plural(number[on.state], 'job')}",
        is_final=True,
    )


def _pin(on: Target, source: Source) -> Question:
    it = find_pool(source, _named(on.pool, "pool")).record
    words = f" It stays within {count(it.min_replicas)} to {count(it.max_replicas)}." if it.max_replicas else ""
    least, most = it.min_replicas or 0, it.max_replicas or MOST_REPLICAS
    now = it.desired if it.desired is not None else it.current or 0
    return Question(
        title=f"Pin pool {on.pool}?",
        words=(
            f"The operator holds it at that many replicas, whatever its load.{words} Replicas that go drain first: no "
            "job is cut off.",
            "spec.replicas, where it is set, goes before this pin.",
        ),
        undo="Unpin it to undo this: the load decides again.",
        button="Pin",
        ask_for="replicas",
        value=str(min(max(now, least), most)),
        bounds=(least, most),
    )


def _unpin(on: Target, _source: Source) -> Question:
    return Question(
        title=f"Unpin pool {_named(on.pool, 'pool')}?",
        words=("The load decides again how many replicas there are, at the operator's next look.",),
        undo="Pin it again to undo this.",
        button="Unpin",
    )


def _drain(on: Target, _source: Source) -> Question:
    _named(on.pool, "pool")
    return Question(
        title=f"Drain worker {_named(on.worker, 'worker')}?",
        words=(
            "It finishes what it runs, however long that takes, gives back what it has fetched, and takes no more.",
            "The operator counts it as leaving: another one is started where the load needs it, and its pod goes.",
        ),
        undo="It can be let work on while its pod is there; after that a new worker takes its place.",
        button="Drain",
    )


def _withdraw(on: Target, _source: Source) -> Question:
    _named(on.pool, "pool")
    return Question(
        title=f"Let worker {_named(on.worker, 'worker')} work on?",
        words=("It fetches again within a second, unless the operator itself has ordered it to drain.",),
        undo="Drain it again to undo this.",
        button="Let it work on",
    )


QUESTIONS: Mapping[str, Callable[[Target, Source], Question]] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "retry-all": _retry_all,
    "run-now": _run_now,
    "remove": _remove,
    "purge": _purge,
    "pin": _pin,
    "unpin": _unpin,
    "drain": _drain,
    "withdraw": _withdraw,
}


def _named(value: str, name: str) -> str:
    if not value:
        raise Refusal(f"{name} is not named; open the page of what is meant, and begin there")
    return value
