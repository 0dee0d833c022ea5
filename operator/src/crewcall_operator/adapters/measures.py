"""How fast the operator is and what it meets: times of looks and ticks, reaction to work, and errors of others.

The ports are measured from outside: `MeasuredReader` and the like stand in front of the real ones, and the engine does
not know. A tick is counted for each pool, thousands of times a second, so the histograms are plain lists, and made into
families when Prometheus asks. `docs/metrics.md` describes each family.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.policy import Mode
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Clock, Orders, QueueReader, Recovered, Report

TIMES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REACTIONS: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(slots=True)
class Histogram:
    """Seconds, counted by bucket."""

    bounds: Sequence[float]
    total: float = 0.0
    counts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        below, buckets = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self.total)


class Measures(Collector):
    """A Reporter too: with its report a pool's tick is over."""

    def __init__(self, clock: Clock) -> None:
        self.looks = Histogram(TIMES)
        self.redis_errors: Counter[str] = Counter()
        self._clock = clock
        self._ticks = Histogram(TIMES)
        self._reactions = Histogram(REACTIONS)
        self._api_errors: Counter[tuple[str, str]] = Counter()
        self._begun: dict[PoolKey, float] = {}
        self._quiet: set[PoolKey] = set()

    def begin(self, pools: Iterable[Pool]) -> float:
        """A look at these pools begins now."""
        now = self._clock()
        for pool in pools:
            self._begun[pool.key] = now
        return now

    def end_look(self, begun: float) -> None:
        self.looks.observe(self._clock() - begun)

    def api_failed(self, verb: str, status: int | None) -> None:
        """The API server refused a request, or did not answer."""
        self._api_errors[verb, "none" if status is None else str(status)] += 1

    def report(self, report: Report) -> None:
        now = self._clock()
        begun = self._begun.pop(report.pool.key, None)
        if begun is not None:
            self._ticks.observe(now - begun)
        if report.observation is not None:
            self._react(report, report.observation, now)

    def forget(self, key: PoolKey) -> None:
        self._begun.pop(key, None)
        self._quiet.discard(key)

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily("crewcall_build_info", "1, with the operator's version.", labels=["version"])
        info.add_metric([version("crewcall")], 1)
        yield info
        yield self.looks.family("crewcall_observation_seconds", "One look at one Redis.")
        yield self._ticks.family(
            "crewcall_tick_seconds", "From the begin of a look at a pool until all is done for it."
        )
        yield self._reactions.family(
            "crewcall_reaction_seconds", "From when a job was ready in a quiet pool until more replicas were asked for."
        )
        errors = CounterMetricFamily("crewcall_redis_errors", "Looks and orders that failed.", labels=["operation"])
        for operation in ("read", "order", "recover"):
            errors.add_metric([operation], self.redis_errors[operation])
        yield errors
        refused = CounterMetricFamily("crewcall_api_errors", "Requests that failed.", labels=["verb", "code"])
        for labels, count in list(self._api_errors.items()):
            refused.add_metric(labels, count)
        yield refused

    def _react(self, report: Report, seen: Observation, now: float) -> None:
        """Reaction is to work that comes to a pool with none ready: later growth has no one moment of its own.

        The first look that sees ready jobs counts, or the first one that could carry its decision out.
        """
        key, fleet, decision = report.pool.key, report.fleet, report.decision
        if not seen.ready and not seen.due:
            self._quiet.add(key)
            return
        if key not in self._quiet or fleet is None or decision is None:
            return
        wants_more = decision.replicas > fleet.current and report.pool.policy.mode is Mode.AUTO
        if wants_more and not report.applied:
            return
        self._quiet.discard(key)
        if wants_more and seen.oldest_ready_age is not None:
            self._reactions.observe(seen.oldest_ready_age + now - report.at)


@dataclass(frozen=True, slots=True)
class MeasuredReader:
    """A QueueReader, timed; a Redis that cannot be read counts once a look, however many pools it has."""

    reader: QueueReader
    measures: Measures

    async def read(
        self, pools: Sequence[Pool], horizons: Mapping[PoolKey, float]
    ) -> Mapping[PoolKey, Observation | QueueUnavailable]:
        begun = self.measures.begin(pools)
        answers = await self.reader.read(pools, horizons)
        self.measures.end_look(begun)
        if any(isinstance(answer, QueueUnavailable) for answer in answers.values()):
            self.measures.redis_errors["read"] += 1
        return answers

    def forget(self, pool: Pool) -> None:
        self.reader.forget(pool)


@dataclass(frozen=True, slots=True)
class MeasuredOrders:
    """Orders; what fails is counted."""

    orders: Orders
    measures: Measures

    async def give(self, pool: Pool, drain: Collection[str], withdraw: Collection[str]) -> None:
        try:
            await self.orders.give(pool, drain, withdraw)
        except QueueUnavailable:
            self.measures.redis_errors["order"] += 1
            raise

    async def recover(self, pool: Pool, workers: Sequence[str]) -> Sequence[Recovered]:
        try:
            return await self.orders.recover(pool, workers)
        except QueueUnavailable:
            self.measures.redis_errors["recover"] += 1
            raise

    async def recover_lapsed(self, pool: Pool) -> Sequence[Recovered]:
        try:
            return await self.orders.recover_lapsed(pool)
        except QueueUnavailable:
            self.measures.redis_errors["recover"] += 1
            raise
