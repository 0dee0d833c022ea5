"""What befalls a pool's workers, in words for Events, the log and the terminal. Pure.

The change of replicas itself is told by `api.events`; here is what comes before it, and what nobody decided: orders to
drain, orders withdrawn or never answered, and workers that died.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crewcall_operator.ports import Report

NAMED = 5


class Happening(NamedTuple):
    """One Event: its type (Normal or Warning), a CamelCase reason, and a sentence."""

    type: str
    reason: str
    message: str


def happenings(report: Report) -> Iterator[Happening]:
    """What this tick did about workers, beside changing their number."""
    plan, fleet = report.plan, report.fleet
    if plan is not None and fleet is not None:
        if plan.order:
            victims = listed([f"{order.pod} ({order.load})" for order in plan.order])
            wanted = report.decision.replicas if report.decision is not None else fleet.current
            surplus = f"{wanted} of {fleet.current} replicas suffice"
            yield Happening("Normal", "Draining", f"Draining {victims}: {surplus}")
        if plan.kept:
            yield Happening("Normal", "DrainWithdrawn", f"Needed again, and not to drain any more: {listed(plan.kept)}")
        if plan.unanswered and report.applied:
            names = listed(plan.unanswered)
            yield Happening("Warning", "OrderUnanswered", f"Removed without having drained: {names} answered no order")
    for dead in report.recovered:
        pods = {worker.id: worker.pod for worker in (report.observation.workers if report.observation else ())}
        jobs = "its 1 unfinished job is" if dead.returned == 1 else f"its {dead.returned} unfinished jobs are"
        message = f"The worker in {pods.get(dead.worker) or 'an unknown pod'} died; {jobs} back in the queue"
        if dead.dead:
            message += f"; {len(dead.dead)} that had killed several workers became dead letters"
        yield Happening("Warning", "WorkerDied", message)


def listed(names: Sequence[str]) -> str:
    """The first few of them."""
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
