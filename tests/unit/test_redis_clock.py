"""The clock of all processes, as one of them knows it: by when it asked, what it heard, and when."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from crewcall_worker.redis_clock import RedisClock


class Far:
    """A Redis whose clock is `ahead_ms` before the steady one, and whose answers take the way that the test says."""

    def __init__(self, ahead_ms: float) -> None:
        self.steady = 100.0
        self.ahead_ms = ahead_ms
        self.way = 0.0, 0.0
        self.clock = RedisClock(cast("Any", self), lambda: self.steady)

    @property
    def now_ms(self) -> float:
        return self.steady * 1000 + self.ahead_ms

    def time(self) -> tuple[int, int]:
        there, back = self.way
        self.steady += there
        answer = divmod(round(self.now_ms * 1000), 1_000_000)
        self.steady += back
        return answer

    def ask(self, there: float, back: float) -> None:
        self.way, asked_at = (there, back), self.steady
        seconds, microseconds = self.time()
        self.clock.set(seconds * 1000 + microseconds // 1000, asked_at=asked_at)


def test_nothing_is_known_before_the_first_answer_and_the_first_look_asks_once() -> None:
    far = Far(ahead_ms=5_000.0)
    assert far.clock.known_ms() is None

    assert far.clock.now_ms() == 105_000
    far.ahead_ms = 0.0
    assert far.clock.now_ms() == 105_000


def test_a_slow_answer_does_not_set_a_clock_back_that_a_quick_one_has_set() -> None:
    far = Far(ahead_ms=5_000.0)
    far.ask(0.0, 0.0)
    far.ask(0.0, 0.040)

    assert far.clock.known_ms() == int(far.now_ms)


def test_a_quick_answer_mends_what_a_slow_one_has_set() -> None:
    far = Far(ahead_ms=5_000.0)
    far.ask(0.0, 0.040)
    assert far.clock.known_ms() == int(far.now_ms) - 40

    far.ask(0.0, 0.0)
    assert far.clock.known_ms() == int(far.now_ms)


def test_a_redis_whose_clock_was_set_back_is_followed_as_soon_as_an_answer_proves_it() -> None:
    far = Far(ahead_ms=5_000.0)
    far.ask(0.0, 0.0)
    far.ahead_ms = 2_000.0
    far.ask(0.001, 0.001)

    assert far.now_ms - 1 <= cast("int", far.clock.known_ms()) <= far.now_ms + 2


WAYS = st.floats(0.0, 0.5)
FROM_1970_ON = st.floats(-100_000.0, 1e12)  # Redis knows no time before; the steady clock begins at 100 s


@given(FROM_1970_ON, st.lists(st.tuples(WAYS, WAYS, st.floats(0.0, 10.0)), min_size=1, max_size=20))
def test_it_is_never_ahead_never_goes_back_and_is_behind_by_the_quickest_way_at_most(
    ahead_ms: float, answers: list[tuple[float, float, float]]
) -> None:
    far = Far(ahead_ms)
    told = []
    for there, back, passed in answers:
        far.ask(there, back)
        told.append(far.clock.known_ms())
        assert cast("int", told[-1]) <= far.now_ms + 0.01
        far.steady += passed

    quickest_ms = min(back for _, back, _ in answers) * 1000
    assert cast("int", far.clock.known_ms()) >= far.now_ms - quickest_ms - 2.01
    assert told == sorted(cast("list[int]", told))
