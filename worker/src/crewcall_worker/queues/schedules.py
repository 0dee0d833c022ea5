"""Schedules: jobs that are enqueued by the clock, kept in Redis and seen there.

    schedules = Schedules(client)
    schedules.put("digest", "0 8 * * MON-FRI", digest, Digest(organization_id="acme"), timezone="Europe/Berlin")

The job of the next tick sits in its queue as a delayed message, from when the schedule is made: so a pool at zero is
woken for it. Once it has passed, any worker's `scheduler` plans the one after it. To put the same schedule again, as an
application may at each start, changes nothing; to put another one under its name, or to remove it, takes the planned
message away. But where its tick has passed, and no worker was there to run it, a changed schedule leaves that job: it
is due. A tick's job is one like any other: retried, dead-lettered and counted as its type has it, but not deduplicated.
What a payload's `default_factory` makes, such as a time, it makes when the job is run.

Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from crewcall_worker import wire
from crewcall_worker.options import DEDUPE_FOR_MS, DEDUPE_KEY
from crewcall_worker.queues import cron as cron_times
from crewcall_worker.queues.job import JobType, Priority
from crewcall_worker.queues.messages import PAYLOAD, make_message
from crewcall_worker.queues.payload import Payload, made_by_factories
from crewcall_worker.queues.plans import CatchUp, Definition, Plan, read_definition, read_plan
from crewcall_worker.queues.retries import check_delay
from crewcall_worker.redis_clock import asked_ms
from crewcall_worker.settings import LARGEST_PAYLOAD

LONGEST_NAME = 200
GRACE = 300.0
"""Seconds."""
MOST_TRIES = 20

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule as it is. Times in ms; `next_ms` is None for one that will never be due again, `last_ms` for one that
    was not yet. `problem` is why it cannot be read, where it cannot: then only the name is known."""

    name: str
    cron: str = ""
    timezone: str = ""
    catch_up: CatchUp = CatchUp.ONCE
    job: str = ""
    queue: str = ""
    organization_id: str = ""
    payload: Any = None
    last_ms: int | None = None
    next_ms: int | None = None
    problem: str = ""


class Contested(RuntimeError):
    """Others have changed the schedule each time that this one was about to."""


class Schedules:
    """The schedules of one Dramatiq namespace, by a client of one's own."""

    def __init__(
        self, client: redis.Redis, namespace: str = "dramatiq", largest_payload: int = LARGEST_PAYLOAD
    ) -> None:
        self._client = client
        self._largest_payload = largest_payload
        self._keys = wire.Keys(namespace)
        self._plan = client.register_script(wire.script("plan"))

    def put(
        self,
        name: str,
        cron: str,
        job: JobType[P],
        payload: P,
        *,
        timezone: str = "UTC",
        catch_up: CatchUp = CatchUp.ONCE,
        grace: float = GRACE,
        priority: Priority | None = None,
    ) -> bool:
        """Make a schedule, or change the one of this name; whether anything has changed.

        `grace` (seconds) is for SKIP: a tick that was not begun by then, or by the next tick, is left out. Raises
        `ValueError` where name, cron expression, time zone or grace are none, `InvalidPayload`, and `Contested`.
        """
        if not name or len(name) > LONGEST_NAME:
            raise ValueError(f"name is {name!r}; expected a text of 1 to {LONGEST_NAME} characters")
        cron_times.check(cron, timezone)
        check_delay("grace", grace)
        message = make_message(job, payload, priority=priority, largest=self._largest_payload)
        made_anew = made_by_factories(payload)
        kept = {key: value for key, value in message.options.items() if key not in {DEDUPE_KEY, DEDUPE_FOR_MS}}
        definition = Definition(
            cron=cron,
            timezone=timezone,
            catch_up=CatchUp(catch_up),
            grace_ms=round(grace * 1000),
            job=job.name,
            queue=job.queue,
            payload={key: value for key, value in message.kwargs[PAYLOAD].items() if key not in made_anew},
            options=kept,
        )
        return self._establish(name, definition)

    def remove(self, name: str) -> bool:
        """Remove a schedule, and the job of its next tick from its queue; whether there was one. Raises `Contested`."""
        for _ in range(MOST_TRIES):
            seen = self._seen(name)
            if seen == ("", ""):
                return False
            if self.change(name, seen, None, None, None, withdrawn=_plan_of(seen[1])):
                return True
        raise Contested(f"schedule {name!r} was changed by others {MOST_TRIES} times at the same time; remove it again")

    def skip(self, name: str, message_id: str) -> bool:
        """Leave out the next tick, if its job is this one, and plan the one after it; whether that was so.

        Raises `Contested`, and `ValueError` where the schedule cannot be read.
        """
        for _ in range(MOST_TRIES):
            seen = self._seen(name)
            plan = _plan_of(seen[1])
            if not seen[0] or plan is None or plan.id != message_id:
                return False
            definition = read_definition(seen[0])
            tick_ms = definition.next(plan.tick_ms, asked_ms(self._client))
            if self.change(name, seen, definition, tick_ms, plan.last_ms, withdrawn=plan):
                return True
        raise Contested(f"schedule {name!r} was changed by others {MOST_TRIES} times at the same time; try again")

    def all(self) -> tuple[ScheduleView, ...]:
        """Every schedule, by name."""
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(self._keys.schedules)
            pipeline.hgetall(self._keys.planned)
            definitions, plans = pipeline.execute()
        known = {wire.text(name): text for name, text in plans.items()}
        names = sorted((wire.text(name), text) for name, text in definitions.items())
        return tuple(_view(name, text, known.get(name, "")) for name, text in names)

    def get(self, name: str) -> ScheduleView | None:
        """The schedule of that name; None where there is none."""
        definition, plan = self._seen(name)
        return _view(name, definition, plan) if definition else None

    def change(
        self,
        name: str,
        seen: tuple[str, str],
        definition: Definition | None,
        tick_ms: int | None,
        last_ms: int | None,
        *,
        withdrawn: Plan | None = None,
        has_passed: bool = False,
    ) -> bool:
        """Give a schedule this definition and this next tick, if it is as it was `seen`: see `lua/plan.lua`.

        No definition: remove it. No tick: it will never be due again.
        """
        plan, message = "", None
        if definition is not None and tick_ms is not None:
            message = definition.message(name, tick_ms)
            plan = Plan(tick_ms, definition.queue, message.message_id, last_ms).write()
        written = definition.write() if definition is not None else ""
        old = (withdrawn.queue, withdrawn.id) if withdrawn else ("", "")
        new: tuple[Any, ...] = ("", "", "", "", "")
        if definition is not None and message is not None:
            new = (tick_ms, definition.queue, message.message_id, message.encode(), definition.organization_id)
        arguments = [self._keys.namespace, name, *seen, written, plan, *old, *new, int(has_passed)]
        return bool(self._plan(args=arguments))

    def _establish(self, name: str, definition: Definition) -> bool:
        """Make the schedule of this name what is defined here; whether it was not. Raises `Contested`."""
        for _ in range(MOST_TRIES):
            seen_definition, seen_plan = self._seen(name)
            if seen_definition == definition.write() and seen_plan:
                return False
            now_ms, before, seen = asked_ms(self._client), _plan_of(seen_plan), (seen_definition, seen_plan)
            if before is not None and before.tick_ms <= now_ms:
                # Its job is due, or is run by now. What follows is planned as any worker would.
                tick_ms = definition.next(before.tick_ms, now_ms)
                has_passed = tick_ms is not None
                is_changed = self.change(name, seen, definition, tick_ms, before.tick_ms, has_passed=has_passed)
            else:
                last_ms = before.last_ms if before else None
                is_changed = self.change(name, seen, definition, definition.first(now_ms), last_ms, withdrawn=before)
            if is_changed:
                return True
        raise Contested(f"schedule {name!r} was changed by others {MOST_TRIES} times at the same time; put it again")

    def _seen(self, name: str) -> tuple[str, str]:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hget(self._keys.schedules, name)
            pipeline.hget(self._keys.planned, name)
            definition, plan = pipeline.execute()
        return wire.text(definition or ""), wire.text(plan or "")


def _plan_of(text: str) -> Plan | None:
    try:
        return read_plan(text) if text else None
    except ValueError:
        return None


def _view(name: str, definition: str | bytes, plan: str | bytes) -> ScheduleView:
    try:
        it = read_definition(definition)
        planned = read_plan(plan) if plan else None
    except ValueError as error:
        return ScheduleView(name, problem=str(error))
    return ScheduleView(
        name=name,
        cron=it.cron,
        timezone=it.timezone,
        catch_up=it.catch_up,
        job=it.job,
        queue=it.queue,
        organization_id=it.organization_id,
        payload=it.payload,
        last_ms=planned.last_ms if planned else None,
        next_ms=planned.tick_ms if planned else None,
    )
