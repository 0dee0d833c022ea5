"""What is done once the question was answered, and what it came to in words.

`actions` does it, refuses it and notes it; here are only the fields of a form on the way in, and words on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crewcall_worker.board.actions import Actions, Some
from crewcall_worker.board.doors import Visit
from crewcall_worker.board.pages.target import Target
from crewcall_worker.board.problems import Conflict, NotThere, Refusal
from crewcall_worker.board.words import count, plural
from crewcall_worker.queues.job_view import JobState
from crewcall_worker.queues.views import Filter

LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered beside "yes". `cursor`: where an action on many jobs goes on."""

    reason: str = ""
    replicas: str = ""
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it, in words. With `cursor` there is more to be done, `left` jobs or so; `done` were, in this go."""

    words: str
    cursor: str | None = None
    done: int = 0
    left: int = 0


def act(action: str, actions: Actions, visit: Visit, on: Target, answer: Answer) -> Reply:
    """Do it. Raises what `Actions` raises, and `Refusal` where the answer is none."""
    deed = DEEDS.get(action)
    if deed is None:
        raise NotThere(f"there is no action {action}")
    try:
        return deed(actions, visit, on, answer)
    except ValueError as problem:
        raise Refusal(str(problem)) from problem


def _pause(actions: Actions, visit: Visit, on: Target, answer: Answer) -> Reply:
    pause = actions.pause(visit, on.queue, answer.reason.strip()[:LONGEST_REASON])
    if pause.by != visit.person.subject:
        return Reply(f"Queue {on.queue} was paused already, by {pause.by or 'somebody'}.")
    return Reply(f"Queue {on.queue} is paused.")


def _resume(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    ended = actions.resume(visit, on.queue)
    return Reply(f"Queue {on.queue} goes on." if ended else f"Queue {on.queue} was not paused any more.")


def _retry(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    return _each(on, lambda id_: actions.retry(visit, on.queue, id_), "back in the queue")


def _run_now(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    return _each(on, lambda id_: actions.run_now(visit, on.queue, id_), "ready now")


def _remove(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    return _each(on, lambda id_: actions.remove(visit, on.queue, id_), "removed")


def _retry_all(actions: Actions, visit: Visit, on: Target, answer: Answer) -> Reply:
    like = Filter(on.job or None, on.organization or None, on.error or None)
    return _many(actions.retry_all(visit, on.queue, like, answer.cursor or None), "dead letter", "back in the queue")


def _purge(actions: Actions, visit: Visit, on: Target, answer: Answer) -> Reply:
    return _many(actions.purge(visit, on.queue, JobState(on.state), answer.cursor or None), "job", "removed")


def _pin(actions: Actions, visit: Visit, on: Target, answer: Answer) -> Reply:
    text = answer.replicas.strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Refusal(f"replicas is {text!r}; expected a whole number, 0 or more")
    pin = actions.pin(visit, on.pool, int(text))
    return Reply(f"Pool {on.pool} is pinned to {plural(pin.replicas, 'replica')}; the operator obeys at its next look.")


def _unpin(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    was = actions.unpin(visit, on.pool)
    return Reply(f"Pool {on.pool} is no longer pinned." if was else f"Pool {on.pool} was not pinned from here.")


def _drain(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    actions.drain(visit, on.pool, on.worker)
    return Reply(f"Worker {on.worker} drains: it finishes what it runs, and takes nothing more.")


def _withdraw(actions: Actions, visit: Visit, on: Target, _answer: Answer) -> Reply:
    was = actions.withdraw(visit, on.pool, on.worker)
    return Reply(f"Worker {on.worker} works on." if was else f"Worker {on.worker} was not asked to drain any more.")


DEEDS: Mapping[str, Callable[[Actions, Visit, Target, Answer], Reply]] = {
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


def _each(on: Target, deed: Callable[[str], None], done: str) -> Reply:
    """One after the other: one that has moved on meanwhile does not stop the others."""
    problems: list[str] = []
    for id_ in on.some_ids:
        try:
            deed(id_)
        except (NotThere, Conflict) as problem:
            problems.append(str(problem))
    number = len(on.ids) - len(problems)
    words = f"{plural(number, 'job is', 'jobs are')} {done}."
    if problems:
        words += f" {plural(len(problems), 'was', 'were')} not: {problems[0]}."
    return Reply(words, done=number)


def _many(some: Some, what: str, done: str) -> Reply:
    words = f"{plural(some.done, f'{what} is', f'{what}s are')} {done}."
    if some.cursor is not None:
        words += f" Up to {count(some.left)} are left."
    return Reply(words, some.cursor, some.done, some.left)
