"""What an outcome is worth, by hand."""

from __future__ import annotations

import math

from crewcall_operator.simulation.outcome import Change, Outcome
from crewcall_operator.simulation.score import Score, score


def test_scores_waits_costs_and_restlessness() -> None:
    asked = [(0.0, 0), (10.0, 4), (20.0, 2), (3615.0, 3), (3619.0, 1), (3621.0, 1), (9000.0, 2)]
    outcome = Outcome(
        waits=[0.0, 1.0, 31.0, math.inf],
        replica_seconds=7200.0,
        changes=[Change(at, replicas, replicas) for at, replicas in asked],
        ended_at=9100.0,
        interrupted=2,
        events=12,
    )

    assert score(outcome, target=30.0) == Score(
        late=0.5,
        p50=1.0,
        p95=math.inf,
        p99=math.inf,
        pod_hours=2.0,
        peak=4,
        changes=5,
        flips=4,
        flips_per_hour=3,  # from 20 s to before 3,620 s
        interrupted=2,
    )


def test_a_pool_that_never_moves_never_flips() -> None:
    outcome = Outcome([1.0], 60.0, [Change(0.0, 1, 1)], 60.0, 0, 3)

    assert (score(outcome, 30.0).flips, score(outcome, 30.0).flips_per_hour) == (0, 0)
