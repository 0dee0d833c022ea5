"""What the board is told of a pool in Redis, and when that is worth a write. Pure: no clock, no client.

The record says how the pool is now, each entry of its history how it was at one moment. A pool that stays as it is
writes nothing, but for one record now and then, by which it is not forgotten. Backlogs change at every look; they are
told at intervals, and between two of them the board reads the queues itself. What is unknown is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from crewcall_operator.api.conditions import ready
from crewcall_operator.core.model import BacklogPerReplica, Mode, Pin, Target
from crewcall_operator.ports import Report
from crewcall_worker import wire
from crewcall_worker.wire import HistoryEntry, PoolRecord

SAMPLE_EVERY: Final = wire.SAMPLE_EVERY_MS / 1000
"""Seconds between two entries that are no decisions, and between two records that differ in nothing but words."""

TOLD_AGAIN: Final = wire.POOL_KEPT_MS / 1000 / 24
"""Seconds after which a record that has not changed is told again: long before it expires."""


LONGEST_MESSAGE: Final = 1_000
"""In characters; the whole is in the status."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told of a pool: its record, at `at` seconds on the engine's clock, and its last entry."""

    record: PoolRecord
    at: float
    entry: HistoryEntry
    sampled_at: float


@dataclass(frozen=True, slots=True)
class News:
    """What is worth telling of a report; neither, where nothing is. Their times are Redis's to give."""

    record: PoolRecord | None
    entry: HistoryEntry | None
    told: Told


def news(report: Report, told: Told | None) -> News:
    """What `report` has to tell, where `told` is what was told before; None where nothing was."""
    now, record = report.at, record_of(report)
    entry = _entry(report, record, told)
    if told is None:
        return News(record, entry, Told(record, now, entry, now))
    next_ = told
    tells_record = _is_worth_telling(record, told, now)
    if tells_record:
        next_ = replace(next_, record=record, at=now)
    is_sample = now - told.sampled_at >= SAMPLE_EVERY and _numbers(entry) != _numbers(told.entry)
    tells_entry = entry.is_decision or is_sample
    if tells_entry:
        next_ = replace(next_, entry=entry, sampled_at=now)
    return News(record if tells_record else None, entry if tells_entry else None, next_)


def record_of(report: Report) -> PoolRecord:
    """How the pool is, by this report."""
    policy, fleet, found = report.pool.policy, report.fleet, ready(report)
    pin = report.pin if policy.pinned is None else Pin(policy.pinned, "spec.replicas")
    return PoolRecord(
        pool=wire.pool_name(*report.pool.key),
        queues=tuple(queue.name for queue in policy.queues),
        mode=policy.mode.value,
        min_replicas=policy.min_replicas,
        max_replicas=policy.max_replicas,
        target=_in_words(policy.target),
        desired=None if report.decision is None else report.decision.replicas,
        current=None if fleet is None else fleet.current,
        ready_replicas=None if fleet is None else fleet.ready,
        draining=None if report.plan is None else len(report.plan.draining),
        reason=found.reason,
        message=found.message[:LONGEST_MESSAGE],
        pinned=None if pin is None else pin.replicas,
        pinned_by=None if pin is None else pin.by,
    )


def _entry(report: Report, record: PoolRecord, told: Told | None) -> HistoryEntry:
    seen = report.observation
    oldest = None if seen is None else seen.oldest_ready_age
    entry = HistoryEntry(
        at_ms=0,
        ready=None if seen is None else seen.ready,
        in_flight=None if seen is None else seen.in_flight,
        delayed=None if seen is None else sum(queue.delayed for queue in seen.queues),
        oldest_ms=None if oldest is None else round(oldest * 1000),
        desired=record.desired,
        current=record.current,
        ready_replicas=record.ready_replicas,
    )
    if report.decision is None or not _moves(report, told):
        return entry
    return replace(entry, reason=report.decision.reason.value, message=report.decision.message[:LONGEST_MESSAGE])


def _moves(report: Report, told: Told | None) -> bool:
    """Whether another number than before was decided on, and is to be gone to: on the way there it is no news."""
    decided = None if report.decision is None else report.decision.replicas
    is_new = told is None or decided != told.record.desired
    is_move = report.fleet is not None and decided != report.fleet.current
    return is_new and is_move and report.pool.policy.mode is Mode.AUTO


def _is_worth_telling(record: PoolRecord, told: Told, now: float) -> bool:
    if replace(record, message=None) != replace(told.record, message=None):
        return True
    wait = SAMPLE_EVERY if record != told.record else TOLD_AGAIN
    return now - told.at >= wait


def _numbers(entry: HistoryEntry) -> HistoryEntry:
    return replace(entry, reason=None, message=None)


def _in_words(target: Target) -> str:
    if isinstance(target, BacklogPerReplica):
        return f"{target.jobs:g} outstanding jobs for each replica"
    return f"95 % of jobs start within {target.seconds:g} s"
