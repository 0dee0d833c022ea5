"""Scenarios that ship: what happens to queues, made from a seed, so that everybody gets the very same jobs.

Arrivals are Poisson streams whose rate is a function of time, or bursts; service times exponential unless said
otherwise. Times in seconds, rates in jobs per second. Each comes with its setting; the promise and the pool's bounds
are the reader's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from crewcall_operator.simulation.setting import Setting, Span
from crewcall_operator.simulation.trace import Trace

HOUR = 3600.0

#: What the shipped ones are made from.
SEED = 20

#: Seconds that a replica takes to start in scenarios: a cached image and a Python worker's imports.
STARTUP = 15.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A trace in its setting. Where `is_steady` the load does not change, and neither should the replicas."""

    trace: Trace
    setting: Setting
    is_steady: bool = False

    @property
    def name(self) -> str:
        return self.trace.name


def scenarios(seed: int = SEED) -> tuple[Scenario, ...]:
    """All of them."""
    return tuple(make(seed) for make in SCENARIOS.values())


def steady(seed: int) -> Scenario:
    """Eight jobs a second of one second, for two hours."""
    chance = Random(seed)
    return _scenario("steady", _stream(chance, lambda _: 8.0, 8.0, 2 * HOUR), chance, 1.0, is_steady=True)


def step_burst(seed: int) -> Scenario:
    """One job a second, and thirty for five minutes, twice within the hour."""
    chance = Random(seed)

    def rate(at: float) -> float:
        return 30.0 if 600 <= at < 900 or 2400 <= at < 2700 else 1.0

    return _scenario("step-burst", _stream(chance, rate, 30.0, HOUR), chance, 1.5)


def diurnal(seed: int) -> Scenario:
    """A day in an hour: from almost nothing to twenty jobs a second and back, twice."""
    chance = Random(seed)
    return _scenario("diurnal", _stream(chance, _wave(0.2, 20.0, HOUR), 20.0, 2 * HOUR), chance, 2.0)


def cron(seed: int) -> Scenario:
    """Three hundred jobs on every tenth minute, nothing between, for two hours."""
    chance = Random(seed)
    arrivals = (600.0 * turn + chance.uniform(0, 2) for turn in range(12) for _ in range(300))
    return _scenario("cron", sorted(arrivals), chance, 2.0)


def heavy_tail(seed: int) -> Scenario:
    """Two jobs a second for two hours, of which most take a second, and some a quarter of an hour (Pareto, 1.3)."""
    chance = Random(seed)
    arrivals = list(_stream(chance, lambda _: 2.0, 2.0, 2 * HOUR))
    services = [min(900.0, 0.7 * chance.paretovariate(1.3)) for _ in arrivals]
    return Scenario(Trace("heavy-tail", tuple(arrivals), tuple(services)), Setting(startup=STARTUP, seed=seed))


def rate_limited(seed: int) -> Scenario:
    """Jobs call an API that serves twelve at once: for ten minutes more come than it can serve, then fewer."""
    chance = Random(seed)

    def rate(at: float) -> float:
        return 14.0 if 1200 <= at < 1800 else 6.0

    return _scenario(
        "rate-limited", _stream(chance, rate, 14.0, HOUR), chance, 1.0, Setting(startup=STARTUP, downstream=12)
    )


def crash_at_zero(seed: int) -> Scenario:
    """Every ten minutes twenty jobs come to a pool at zero, and the first worker dies while it runs some of them."""
    chance = Random(seed)
    arrivals = sorted(600.0 * turn + chance.uniform(0, 1) for turn in range(6) for _ in range(20))
    kills = tuple(600.0 * turn + 22.0 for turn in range(6))
    return _scenario("crash-at-zero", arrivals, chance, 4.0, Setting(startup=STARTUP, kills=kills))


def redis_outage(seed: int) -> Scenario:
    """Redis is away for four minutes of steady work; what was sent meanwhile arrives at once when it is back."""
    chance = Random(seed)
    arrivals = _stream(chance, lambda _: 6.0, 6.0, HOUR)
    return _scenario("redis-outage", arrivals, chance, 1.5, Setting(startup=STARTUP, outages=(Span(1500, 1740),)))


def delayed_only(seed: int) -> Scenario:
    """Every ten minutes 100 jobs are sent that are due eight minutes later, and nothing else, for two hours."""
    chance = Random(seed)
    due = sorted(480.0 + 600.0 * turn + chance.uniform(0, 1) for turn in range(12) for _ in range(100))
    scenario = _scenario("delayed-only", due, chance, 2.0)
    trace = scenario.trace
    announced = tuple(at - 480.0 if at > 480.0 else 0.0 for at in trace.arrivals)
    return Scenario(Trace(trace.name, trace.arrivals, trace.services, announced), scenario.setting)


def startup_shift(seed: int) -> Scenario:
    """Waves of load, and from the middle on replicas take a minute to start: images are no longer cached."""
    chance = Random(seed)
    rates = _wave(2.0, 12.0, 1200.0)
    setting = Setting(startup=STARTUP, startup_shift=(HOUR, 60.0))
    return _scenario("startup-shift", _stream(chance, rates, 12.0, 2 * HOUR), chance, 2.0, setting)


def hourly_report(seed: int) -> Scenario:
    """A job of fifty minutes every hour, and nothing else, for six hours."""
    arrivals = tuple(HOUR * turn for turn in range(6))
    return Scenario(Trace("hourly-report", arrivals, (3000.0,) * 6), Setting(startup=STARTUP, seed=seed))


def rare_and_long(seed: int) -> Scenario:
    """A job of ten minutes every twenty minutes, on average of both, for eight hours; the first one at once."""
    chance = Random(seed)
    arrivals = [0.0, *_stream(chance, lambda _: 1 / 1200, 1 / 1200, 8 * HOUR)]
    return _scenario("rare-and-long", arrivals, chance, 600.0)


def poison(seed: int) -> Scenario:
    """A job of two seconds every ten minutes, for four hours, and one among them that takes as long as all that."""
    chance = Random(seed)
    arrivals = [600.0 * turn + chance.uniform(0, 60) for turn in range(24)]
    services = [chance.expovariate(1 / 2.0) for _ in arrivals]
    services[3] = 4 * HOUR
    return Scenario(Trace("poison", tuple(arrivals), tuple(services)), Setting(startup=STARTUP, seed=seed))


SCENARIOS: dict[str, Callable[[int], Scenario]] = {
    "steady": steady,
    "step-burst": step_burst,
    "diurnal": diurnal,
    "cron": cron,
    "heavy-tail": heavy_tail,
    "rate-limited": rate_limited,
    "crash-at-zero": crash_at_zero,
    "redis-outage": redis_outage,
    "delayed-only": delayed_only,
    "startup-shift": startup_shift,
    "hourly-report": hourly_report,
    "rare-and-long": rare_and_long,
    "poison": poison,
}


def _scenario(
    name: str,
    arrivals: Iterator[float] | list[float],
    chance: Random,
    service: float,
    setting: Setting | None = None,
    *,
    is_steady: bool = False,
) -> Scenario:
    at = tuple(arrivals)
    services = tuple(chance.expovariate(1.0 / service) for _ in at)
    return Scenario(Trace(name, at, services), setting or Setting(startup=STARTUP), is_steady)


def _stream(chance: Random, rate: Callable[[float], float], most: float, until: float) -> Iterator[float]:
    """A Poisson stream of changing rate, by thinning one of the rate `most` (Lewis & Shedler, 1979)."""
    at = chance.expovariate(most)
    while at < until:
        if chance.random() * most < rate(at):
            yield at
        at += chance.expovariate(most)


def _wave(low: float, high: float, period: float) -> Callable[[float], float]:
    return lambda at: low + (high - low) * (1.0 - math.cos(2.0 * math.pi * at / period)) / 2.0
