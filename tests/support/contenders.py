"""Several candidates for one Lease in a world that goes wrong: skewed clocks, lost and late messages, pauses, deaths.

A discrete simulation in true time. Each candidate is driven as `adapters/election.py` drives it: one request at a time,
given up after a while, beside a watch that may miss things. A request that was given up may still arrive.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from crewcall_operator.core.leadership import Candidate, Record, Step, Terms


@dataclass(slots=True)
class Weather:
    """How bad it is: chances for each message, and the longest delay of one in seconds."""

    lost: float = 0.0
    delay: float = 0.02
    unheard: float = 0.0


@dataclass(slots=True)
class Contender:
    """A candidate with a clock of its own; cut off from the server until `cut_until`, frozen until `frozen_until`."""

    candidate: Candidate
    offset: float
    rate: float
    cut_until: float = 0.0
    frozen_until: float = 0.0
    is_dead: bool = False
    is_asking: bool = False
    turn: int = 0

    def clock(self, at: float) -> float:
        return self.offset + self.rate * at

    def true_time(self, own: float) -> float:
        return (own - self.offset) / self.rate

    def leads(self, at: float) -> bool:
        return not self.is_dead and self.candidate.may_write_for(self.clock(at)) > 0


@dataclass(slots=True)
class World:
    """The server with its one Lease, and those who want it. `handovers` are the leaders in order."""

    random: Random
    contenders: list[Contender]
    weather: Weather = field(default_factory=Weather)
    lease: Record | None = None
    now: float = 0.0
    most_leading: int = 0
    handovers: list[str] = field(default_factory=list)
    _version: int = 0
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, happen = heapq.heappop(self._agenda)
            happen()
            leading = [it.candidate.me for it in self.contenders if it.leads(self.now)]
            self.most_leading = max(self.most_leading, len(leading))
            if leading and leading != self.handovers[-1:]:
                self.handovers += leading
        self.now = end

    def at(self, time: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(time, self.now), next(self._order), happen))

    def start(self, contender: Contender) -> None:
        self.at(self.now, lambda: self._go_on(contender, contender.turn))

    def resign(self, contender: Contender) -> None:
        """A clean exit: writing ends, then the lease is given back, then the process."""
        contender.candidate = contender.candidate.resigned()
        seen = contender.candidate.seen
        if seen is not None and seen.holder == contender.candidate.me:
            self._send(contender, lambda: self._write(Record("", 1.0, seen.version)), lambda _: None)
        contender.is_dead = True

    def _go_on(self, contender: Contender, turn: int) -> None:
        if contender.is_dead or turn != contender.turn:
            return
        if self.now < contender.frozen_until:
            self.at(contender.frozen_until, lambda: self._go_on(contender, turn))
            return
        step, due = contender.candidate.step(contender.clock(self.now))
        contender.turn += 1
        contender.is_asking = False
        if due > contender.clock(self.now):
            # Computed back and forth, the time may come out a hair too early.
            self._later(contender, contender.true_time(due) + 1e-6)
            return
        self._ask(contender, step)

    def _later(self, contender: Contender, time: float) -> None:
        turn = contender.turn
        self.at(time, lambda: self._go_on(contender, turn))

    def _ask(self, contender: Contender, step: Step) -> None:
        candidate, asked_at, turn = contender.candidate, contender.clock(self.now), contender.turn
        contender.is_asking = True

        def served() -> object:
            return self._serve(candidate, step)

        def answered(answer: object) -> None:
            if contender.is_dead or contender.turn != turn:
                return
            if self.now < contender.frozen_until:
                self.at(contender.frozen_until, lambda: answered(answer))
                return
            own, known = contender.clock(self.now), contender.candidate
            if answer == "conflict":
                contender.candidate = known.refused()
            elif step is Step.LOOK or answer is None:
                contender.candidate = known.looked(answer if isinstance(answer, Record) else None, own)
            else:
                assert isinstance(answer, Record)
                contender.candidate = known.granted(answer, asked_at, own)
            contender.turn += 1
            self._go_on(contender, contender.turn)

        def given_up() -> None:
            if contender.is_dead or contender.turn != turn:
                return
            contender.turn += 1
            contender.candidate = contender.candidate.failed(contender.clock(self.now))
            self._go_on(contender, contender.turn)

        self.at(contender.true_time(asked_at + candidate.terms.attempt), given_up)
        self._send(contender, served, answered)

    def _send(self, contender: Contender, serve: Callable[[], object], answered: Callable[[object], None]) -> None:
        if self._is_lost(contender):
            return

        def arrive() -> None:
            answer = serve()
            if not self._is_lost(contender):
                self.at(self.now + self._delay(), lambda: answered(answer))

        self.at(self.now + self._delay(), arrive)

    def _serve(self, candidate: Candidate, step: Step) -> object:
        if step is Step.LOOK:
            return self.lease
        mine = Record(
            candidate.me, float(candidate.terms.lease), 0 if candidate.seen is None else candidate.seen.version
        )
        if step is Step.CREATE:
            return "conflict" if self.lease is not None else self._stored(mine)
        return self._write(mine)

    def _write(self, wanted: Record) -> object:
        if self.lease is None:
            return None
        return self._stored(wanted) if self.lease.version == wanted.version else "conflict"

    def _stored(self, wanted: Record) -> Record:
        self._version += 1
        self.lease = stored = wanted._replace(version=self._version)
        for contender in self.contenders:
            if not self._is_lost(contender) and self.random.random() >= self.weather.unheard:
                self.at(self.now + self._delay(), partial(self._hear, contender, stored))
        return stored

    def _hear(self, contender: Contender, found: Record) -> None:
        if contender.is_dead:
            return
        if self.now < contender.frozen_until:
            self.at(contender.frozen_until, lambda: self._hear(contender, found))
            return
        before = contender.candidate
        contender.candidate = before.heard(found, contender.clock(self.now))
        # A request that is under way goes on: what was heard counts for the next one.
        if contender.candidate is not before and not contender.is_asking:
            self._later(contender, self.now)

    def _is_lost(self, contender: Contender) -> bool:
        return self.now < contender.cut_until or self.random.random() < self.weather.lost

    def _delay(self) -> float:
        return self.random.uniform(0.0, self.weather.delay)


def contending(random: Random, number: int, terms: Terms, *, skew: float) -> World:
    """A world with so many contenders, whose clocks' rates differ by up to `skew` either way."""
    world = World(random, [])
    for index in range(number):
        rate = random.uniform(1.0 - skew, 1.0 + skew)
        world.contenders.append(Contender(Candidate(f"operator-{index}", terms), random.uniform(-1e6, 1e6), rate))
    for contender in world.contenders:
        world.start(contender)
    return world
