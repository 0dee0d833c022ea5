"""What the production decision is told in the simulator is what its adapters would have read."""

from __future__ import annotations

import pytest
from tests.support.pools import policy

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.decide import decide
from crewcall_operator.core.decision import Decision
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import Policy
from crewcall_operator.simulation import crewcall
from crewcall_operator.simulation.ports import Look


def test_a_delayed_job_has_arrived_once_a_worker_has_moved_it_to_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Observation | None] = []

    def watched(of: Policy, observed: Observation | None, current: int, memory: Memory, now: float) -> Decision:
        seen.append(observed)
        return decide(of, observed, current, memory, now)

    monkeypatch.setattr(crewcall, "decide", watched)
    look = Look(
        at=0.0, ready=0, held=0, running=0, delayed=0, due=3, due_in=(), asked=0, working=0, draining=0, starting=0,
        arrived=7, started=4, done=4, busy=8.0, startups=(), is_blind=False,
    )  # fmt: skip

    crewcall.Crewcall(policy(), threads=4).wanted(look)

    assert seen[0] is not None
    assert seen[0].queues[0].counters == Counters(arrived=4, ended=4, busy=8.0)
