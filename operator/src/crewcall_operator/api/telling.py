"""What the board is told of a pool in Redis, and when that is worth a write. Pure: no clock, no client.

The record says how the pool is now, each entry of its history how it was at one moment. A pool that stays as it is
writes nothing, but for one record now and then, by which it is not forgotten. Backlogs change at every look; they are
told at intervals, and between two of them the board reads the queues itself. What is unknown is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from crewcall_operator.api.conditions import ready
from crewcall_operator.core.model import BacklogPerReplica, Decision, Mode, Pin, Target
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
    """What was last told of a pool: its record, at which second of the engine's clock, and its last entry's figures."""

    record: PoolRecord
    at: float
    sample: HistoryEntry
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
    sample = _sample(report, record)
    decided = report.decision if _moves(report, told) else None
    entry = sample if decided is None else _telling_why(sample, decided)
    if told is None:
        return News(record, entry, Told(record, now, sample, now))
    tells_record = _is_worth_telling(record, told, now)
    tells_entry = decided is not None or (now - told.sampled_at >= SAMPLE_EVERY and sample != told.sample)
    if not tells_record and not tells_entry:
        return News(None, None, told)  # as nearly always
    next_ = Told(
        record if tells_record else told.record,
        now if tells_record else told.at,
        sample if tells_entry else told.sample,
        now if tells_entry else told.sampled_at,
    )
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


def _sample(report: Report, record: PoolRecord) -> HistoryEntry:
    seen = report.observation
    oldest = None if seen is None else seen.oldest_ready_age
    return HistoryEntry(
        at_ms=0,
        ready=None if seen is None else seen.ready,
        in_flight=None if seen is None else seen.in_flight,
        delayed=None if seen is None else sum(queue.delayed for queue in seen.queues),
        oldest_ms=None if oldest is None else round(oldest * 1000),
        desired=record.desired,
        current=record.current,
        ready_replicas=record.ready_replicas,
    )


def _telling_why(sample: HistoryEntry, decision: Decision) -> HistoryEntry:
    return replace(sample, reason=decision.reason.value, message=decision.message[:LONGEST_MESSAGE])


def _moves(report: Report, told: Told | None) -> bool:
    """Whether another number than before was decided on, and is to be gone to: on the way there it is no news."""
    decided = None if report.decision is None else report.decision.replicas
    is_new = told is None or decided != told.record.desired
    is_move = report.fleet is not None and decided != report.fleet.current
    return is_new and is_move and report.pool.policy.mode is Mode.AUTO


def _is_worth_telling(record: PoolRecord, told: Told, now: float) -> bool:
    if record == told.record:
        return now - told.at >= TOLD_AGAIN
    differs_in_words_alone = replace(record, message=told.record.message) == told.record
    return not differs_in_words_alone or now - told.at >= SAMPLE_EVERY


def _in_words(target: Target) -> str:
    if isinstance(target, BacklogPerReplica):
        return f"{target.jobs:g} outstanding jobs for each replica"
    return f"95 % of jobs start within {target.seconds:g} s"
