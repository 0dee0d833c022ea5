"""The promise where nothing was tuned on: the scenarios that ship, made from other seeds."""

from __future__ import annotations

import pytest
from benchmarks import holdout
from benchmarks.quality import MOST, PROCESSES, PROMISE_S

from crewcall_operator.simulation.scenarios import SEED


def test_the_seeds_that_are_held_out_are_not_the_one_that_ships() -> None:
    assert SEED not in holdout.SEEDS


@pytest.mark.slow
def test_keeps_every_promise_that_can_be_kept_on_seeds_that_nobody_tuned_on() -> None:
    held = holdout.run(PROMISE_S, MOST, PROCESSES)

    assert [it for it in held if it.is_feasible and not it.is_met] == []
    assert sum(it.is_feasible for it in held) >= 40
    assert sum(it.interrupted for it in held) == 0
