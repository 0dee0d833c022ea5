"""What the board is told of a pool in Redis, and when that is worth a write. Pure: no clock, no client.

The record says how the pool is now, each entry of its history how it was at one moment. A pool that stays as it is
writes nothing, but for one record now and then, by which it is not forgotten. Backlogs change at every look; they are
told at intervals, and between two of them the board reads the queues itself. What is unknown is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final, NamedTuple

from crewcall_operator.api.conditions import ready
from crewcall_operator.core.decision import Decision
from crewcall_operator.core.pin import Pin
from crewcall_operator.core.policy import BacklogPerReplica, Mode, Target
from crewcall_operator.ports import Report
from crewcall_worker import wire
from crewcall_worker.wire import HistoryEntry, PoolRecord

SAMPLE_EVERY: Final = wire.SAMPLE_EVERY_MS / 1000
"""Seconds between two entries that are no decisions, and between two records that differ in nothing but words."""

TOLD_AGAIN: Final = wire.POOL_KEPT_MS / 1000 / 24
"""Seconds after which a record that has not changed is told again: long before it expires."""


LONGEST_MESSAGE: Final = 1_000
"""In characters; the whole is in the status."""


class ToldRecord(NamedTuple):
    """What was last told of how a pool is, at `at` seconds on the engine's clock: hashes of it and of its words."""

    state: int
    words: int
    desired: int | None
    at: float


class ToldEntry(NamedTuple):
    """The last entry of a pool's history, at `at` seconds on the engine's clock: a hash of its figures."""

    figures: int
    at: float


class Told(NamedTuple):
    """What was last told of a pool. Hashes, for there may be thousands of them."""

    record: ToldRecord = ToldRecord(0, 0, -1, -inf)
    entry: ToldEntry = ToldEntry(0, -inf)


NOTHING: Final = Told()


@dataclass(frozen=True, slots=True)
class News:
    """What is worth telling of a report; neither, where nothing is. Their times are Redis's to give."""

    record: PoolRecord | None
    entry: HistoryEntry | None
    told: Told


def news(report: Report, told: Told) -> News:
    """What `report` has to tell, where `told` is what was told before."""
    now, found = report.at, ready(report)
    record = _record(report, found.reason)
    sample = _sample(report, record)
    decision = report.decision if _moves(report, told.record) else None
    next_record = ToldRecord(hash(record), hash(found.message), record.desired, now)
    next_entry = ToldEntry(hash(sample), now)
    tells_record = _is_worth_telling(next_record, told.record)
    is_sample = next_entry.figures != told.entry.figures and now - told.entry.at >= SAMPLE_EVERY
    tells_entry = decision is not None or is_sample
    if not tells_record and not tells_entry:
        return News(None, None, told)  # as nearly always
    return News(
        replace(record, message=found.message[:LONGEST_MESSAGE]) if tells_record else None,
        _with_reason(sample, decision) if tells_entry else None,
        Told(next_record if tells_record else told.record, next_entry if tells_entry else told.entry),
    )


def _record(report: Report, reason: str) -> PoolRecord:
    """How the pool is by this report, but for the words."""
    policy, fleet = report.pool.policy, report.fleet
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
        reason=reason,
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


def _with_reason(sample: HistoryEntry, decision: Decision | None) -> HistoryEntry:
    if decision is None:
        return sample
    return replace(sample, reason=decision.reason.value, message=decision.message[:LONGEST_MESSAGE])


def _moves(report: Report, told: ToldRecord) -> bool:
    """Whether another number than before was decided on, and is to be gone to: on the way there it is no news."""
    decided = None if report.decision is None else report.decision.replicas
    is_move = report.fleet is not None and decided != report.fleet.current
    return decided != told.desired and is_move and report.pool.policy.mode is Mode.AUTO


def _is_worth_telling(new: ToldRecord, told: ToldRecord) -> bool:
    if new.state != told.state:
        return True
    return new.at - told.at >= (SAMPLE_EVERY if new.words != told.words else TOLD_AGAIN)


def _in_words(target: Target) -> str:
    if isinstance(target, BacklogPerReplica):
        return f"{target.jobs:g} outstanding jobs for each replica"
    return f"95 % of jobs start within {target.seconds:g} s"
