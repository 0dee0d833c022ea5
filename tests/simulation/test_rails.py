"""A pool sized by a promise, through a whole story: the production decision in the simulator."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from random import Random

import pytest
from tests.support.stories import PROMISE, Watched, scenario, told

from crewcall_operator.core.counters import Counters
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.flow import NOTHING_KNOWN
from crewcall_operator.simulation.bounds import zero_wait
from crewcall_operator.simulation.outcome import Outcome
from crewcall_operator.simulation.ports import Look
from crewcall_operator.simulation.scenarios import SCENARIOS
from crewcall_operator.simulation.score import score
from crewcall_operator.simulation.setting import Setting, Span
from crewcall_operator.simulation.trace import Trace
from crewcall_operator.simulation.world import simulate

STEADY = Setting(startup=15.0)


def poisson(rate: float, service: float, seconds: float, seed: int = 3) -> Trace:
    chance = Random(seed)
    arrivals = list(accumulate(chance.expovariate(rate) for _ in range(int(rate * seconds))))
    return Trace("poisson", tuple(arrivals), tuple(chance.expovariate(1 / service) for _ in arrivals))


def with_extra(trace: Trace, *jobs: tuple[float, float]) -> Trace:
    pairs = sorted([*zip(trace.arrivals, trace.services, strict=True), *jobs])
    return Trace(trace.name, tuple(at for at, _ in pairs), tuple(service for _, service in pairs))


def late(outcome: Outcome) -> float:
    return score(outcome, PROMISE).late


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "rate-limited"])
def test_keeps_the_promise_in_every_scenario_that_ships_and_cuts_no_job_off(name: str) -> None:
    outcome, _ = told(name)

    assert late(outcome) <= 0.05
    assert outcome.interrupted == 0


@pytest.mark.parametrize("rate", [0.5, 4.0, 8.0, 11.7])
def test_changes_its_mind_at_most_six_times_an_hour_under_a_steady_load(rate: float) -> None:
    outcome = simulate(poisson(rate, 1.0, 5400), STEADY, Watched())

    assert score(outcome, PROMISE).flips_per_hour <= 6


def test_holds_while_blind_and_goes_down_no_sooner_than_a_window_after() -> None:
    setting = replace(STEADY, outages=(Span(600.0, 700.0),))
    crewcall = Watched()

    simulate(poisson(8.0, 1.0, 1200), setting, crewcall)

    blind = crewcall.between(600, 700)
    (held,) = blind
    assert {reason for at, _, reason in crewcall.story if 600 <= at < 700} == {Reason.REDIS_UNAVAILABLE}
    assert min(crewcall.between(700, 759)) >= held


def test_a_restart_sends_nobody_home_within_a_window_and_calls_hardly_anybody() -> None:
    class Restarted(Watched):
        def wanted(self, look: Look) -> int:
            if look.at == 600.0:
                self._memory = None
            return super().wanted(look)

    crewcall = Restarted()
    simulate(poisson(8.0, 1.0, 1200), STEADY, crewcall)

    (before,) = crewcall.between(590, 600)
    assert min(crewcall.between(600, 660)) == before
    assert max(crewcall.between(600, 1200)) <= before + 1  # a rate seen for seconds only is a rough one


def test_counters_that_are_deleted_move_nothing() -> None:
    def reset(look: Look) -> Look:
        return look if look.at < 600 else look._replace(arrived=look.arrived - 4800, done=look.done - 4700, busy=0.0)

    crewcall = Watched(reset)
    simulate(poisson(8.0, 1.0, 900), STEADY, crewcall)

    (before,) = crewcall.between(590, 600)
    assert crewcall.between(600, 660) == {before}


def test_one_job_that_never_ends_costs_no_more_than_its_own_replica() -> None:
    calm, poisoned = Watched(), Watched()
    trace = poisson(4.0, 1.0, 3000)
    simulate(trace, STEADY, calm)

    outcome = simulate(with_extra(trace, (600.0, 2400.0)), STEADY, poisoned)

    assert late(outcome) <= 0.05
    assert max(poisoned.between(660, 3000)) <= max(calm.between(660, 3000)) + 1


@pytest.mark.parametrize("name", ["hourly-report", "rare-and-long", "poison"])
def test_a_quiet_pool_of_long_jobs_calls_hardly_more_than_they_fill(name: str) -> None:
    outcome, crewcall = told(name)

    assert crewcall.most() <= 2
    assert score(outcome, PROMISE).pod_hours <= 1.2 * zero_wait(*scenario(name))


def test_a_job_that_kills_its_worker_again_and_again_does_not_call_for_ever_more() -> None:
    setting = replace(STEADY, kills=tuple(600.0 + 20 * turn for turn in range(30)))
    crewcall = Watched()

    outcome = simulate(poisson(8.0, 1.0, 1500), setting, crewcall)

    assert late(outcome) <= 0.05
    assert max(crewcall.between(600, 1500)) <= 8


def test_a_rollout_that_replaces_all_replicas_calls_no_more_of_them() -> None:
    """While new pods start in place of old ones there are fewer ready, and as many pending."""

    def rolling(look: Look) -> Look:
        moved = look.working // 3 if 600 <= look.at < 660 else 0
        return look._replace(working=look.working - moved, starting=look.starting + moved)

    crewcall = Watched(rolling)
    simulate(poisson(8.0, 1.0, 900), STEADY, crewcall)

    (before,) = crewcall.between(590, 600)
    assert crewcall.between(600, 720) == {before}


def test_a_saturated_downstream_is_never_a_reason_to_call_fewer() -> None:
    """More workers do not help, but fewer might hurt a pool that only looks like it: nobody is sent home for that."""
    crewcall = Watched(most=12)

    simulate(*scenario("rate-limited"), crewcall)

    overload = [replicas for at, replicas, _ in crewcall.story if 1260 <= at < 1900]
    assert overload == sorted(overload)
    assert overload[-1] == 12


def test_replicas_that_come_to_take_longer_are_called_earlier() -> None:
    outcome, _ = told("startup-shift")

    assert late(outcome) <= 0.05


def test_chance_alone_does_not_look_like_a_burst() -> None:
    chance, flow, arrived, highest = Random(5), NOTHING_KNOWN, 0, 0.0
    for second in range(3600):
        arrived += sum(chance.random() < 0.08 for _ in range(100))  # eight a second
        flow = flow.seeing({"sms": Counters(arrived, arrived, float(arrived))}, float(second))
        if second > 600:
            highest = max(highest, flow.queues["sms"].arrivals)

    assert highest < 8.0 + 4.0 * 8.0**0.5 / 40**0.5
