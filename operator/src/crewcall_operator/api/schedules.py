"""What can be wrong with a pool's schedules beyond their shape, and the schedules as the decision has them.

The CRD states in CEL what compares two fields; cron expressions and time zones only we can read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from crewcall_operator.api import schema
from crewcall_operator.core.schedule import Schedule
from crewcall_operator.errors import Problem

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)

_CRON = (
    'must be five cron fields: minute, hour, day, month, day of week, such as "0 8 * * 1-5"; each *, a number, '
    "a name such as MON or JAN, a-b, */n or a list of these"
)
_ZONE = "must be a name of the IANA time zone database, such as Europe/Berlin or UTC"


def read_schedule(found: schema.Schedule) -> Schedule:
    """The schedule that was written; `broken_schedules` has found nothing wrong with it."""
    return Schedule(found.name, found.start, found.end, found.min_replicas, ZoneInfo(found.timezone))


def broken_schedules(spec: Mapping[str, Any], bad_paths: Set[str]) -> Iterator[Problem]:
    """What is wrong with `spec.schedules`, where the fields at `bad_paths` are known to be wrong themselves."""
    if "spec.schedules" in bad_paths:
        return
    names = set[str]()
    for index, schedule in enumerate(spec.get("schedules") or ()):
        path = f"spec.schedules[{index}]"
        if not any(bad == path or bad.startswith(f"{path}.") for bad in bad_paths):
            yield from _broken(schedule, path, spec, bad_paths)
            if schedule["name"] in names:
                yield Problem(f"{path}.name", schedule["name"], "must be unique, and an earlier schedule has it")
            names.add(schedule["name"])


def _broken(schedule: Mapping[str, Any], path: str, spec: Mapping[str, Any], bad_paths: Set[str]) -> Iterator[Problem]:
    times = {name: _times(schedule[name]) for name in ("start", "end")}
    for name, found in times.items():
        if found is None:
            yield Problem(f"{path}.{name}", schedule[name], _CRON)
    if times["start"] is not None and times["start"] == times["end"]:
        yield Problem(f"{path}.end", schedule["end"], "must be another time than start")
    if not _is_zone(zone := schedule.get("timezone", "UTC")):
        yield Problem(f"{path}.timezone", zone, _ZONE)
    if "spec.maxReplicas" not in bad_paths and schedule["minReplicas"] > spec["maxReplicas"]:
        allowed = f"must be at most maxReplicas, which is {spec['maxReplicas']}"
        yield Problem(f"{path}.minReplicas", schedule["minReplicas"], allowed)


def _times(text: str) -> tuple[object, ...] | None:
    """What a cron expression means, however it is spelt; None where it is none."""
    try:
        found = CronSim(text, _SOME_DAY)
    except CronSimError:
        return None
    return found.minutes, found.hours, found.days, found.months, found.weekdays, found.day_and


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory, such as Europe
        return False
    return True
