"""What `job` makes of a function, and what it refuses; retry policies; what becomes of a failure. No Redis."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq.middleware.time_limit import TimeLimitExceeded
from hypothesis import given
from hypothesis import strategies as st

from crewcall_worker.queues import (
    CATALOGUE,
    Backoff,
    FixedDelays,
    InvalidPayload,
    JobContext,
    JobType,
    Payload,
    Priority,
    Reject,
    TryAgain,
    job,
)
from crewcall_worker.queues.failures import Death, Later, _trace, judge

if TYPE_CHECKING:
    from tests.unit.jobs.test_declaring_jobs import Greet as Elsewhere

CONTEXT = JobContext("1", "greet.person", "greetings", "acme", 1)


class Greet(Payload):
    name: str


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(CATALOGUE)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)


def a_job(**options: Any) -> JobType[Greet]:
    @job("greet.person", **{"queue": "greetings", **options})
    def greet(payload: Greet, context: JobContext) -> str:
        return f"Hello {payload.name}, for the {context.attempt}. time"

    return greet


def test_a_job_type_can_be_called_as_a_test_does() -> None:
    greet = a_job()

    assert greet(Greet(organization_id="acme", name="Ada"), CONTEXT) == "Hello Ada, for the 1. time"
    assert (greet.payload, greet.priority, greet.retries) == (Greet, Priority.NORMAL, Backoff())
    assert CATALOGUE["greet.person"] is greet


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"queue": "1st"}, r"^job 'greet.person': queue is '1st'; expected a letter or _"),
        ({"queue": "sms.DQ"}, r"^job 'greet.person': queue is 'sms.DQ'; expected .* neither .DQ nor .XQ at the end$"),
        ({"time_limit": 0.0}, r"^job 'greet.person': time_limit=0.0, .* expected a name, seconds above 0"),
        ({"stalled_after": -1.0}, r"stalled_after=-1.0"),
        ({"concurrency": 0}, r"concurrency=0; expected .* a concurrency of 1 or more$"),
    ],
)
def test_what_cannot_be_is_told_where_the_job_is_declared(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        a_job(**options)


def test_a_name_is_one_jobs() -> None:
    greet = a_job()
    greet.run.__module__ = "shop.other"

    with pytest.raises(ValueError, match=r"^job 'greet.person' is shop.other.a_job.* already; name .*a_job.* apart$"):
        a_job()


def test_a_name_is_one_jobs_within_a_module_too() -> None:
    greet = a_job()

    def charge(payload: Greet, context: JobContext) -> None:
        """Another one."""

    with pytest.raises(ValueError, match=r"^job 'greet.person' is .*\.greet already; name .*\.charge apart$"):
        job("greet.person", queue="greetings")(charge)
    assert CATALOGUE["greet.person"] is greet


def test_a_module_that_is_loaded_anew_says_the_same_job_again() -> None:
    a_job()

    again = a_job()

    assert CATALOGUE["greet.person"] is again


def test_a_function_without_a_payload_is_no_job() -> None:
    def wrong(name: str, context: JobContext) -> None:
        """Its first parameter is no Payload."""

    with pytest.raises(TypeError, match=r"^job 'x': expected a function \(payload: a Payload, context: JobContext\)$"):
        job("x", queue="greetings")(wrong)  # type: ignore[type-var]  # which is what is tested


def test_a_generator_is_no_job_for_a_call_would_do_nothing() -> None:
    def steps(payload: Greet, context: JobContext) -> Iterator[int]:
        yield 1

    async def later(payload: Greet, context: JobContext) -> AsyncIterator[int]:
        yield 1

    for wrong in (steps, later):
        with pytest.raises(TypeError, match=r"^job 'x': it has a yield, so a call would do nothing of it"):
            job("x", queue="greetings")(wrong)


def test_a_payload_that_only_type_checkers_know_is_told_with_the_way_out() -> None:
    def wrong(payload: Elsewhere, context: JobContext) -> None: ...

    with pytest.raises(TypeError, match=r"^job 'x': Elsewhere is not known .* outside of `if TYPE_CHECKING`"):
        job("x", queue="greetings")(wrong)


async def test_an_async_job_type_is_awaited_as_its_function_is() -> None:
    @job("greet.later", queue="greetings")
    async def later(payload: Greet, context: JobContext) -> str:
        return payload.name

    assert await later(Greet(organization_id="acme", name="Ada"), CONTEXT) == "Ada"


@pytest.mark.parametrize("organization", ["", "a b", "ä", "x" * 101, "a:b", None])
def test_an_organization_is_a_part_of_keys_and_lines(organization: Any) -> None:
    with pytest.raises(ValueError, match="organization_id"):
        Greet(organization_id=organization, name="Ada")


# What becomes of a failure


def test_rules_are_tried_again_by_their_schedule() -> None:
    rules, error = FixedDelays(30, 120), RuntimeError("busy")

    assert [judge(rules, failures, error, 0.5) for failures in (1, 2, 3)] == [
        Later(30),
        Later(120),
        Death.RETRIES_EXHAUSTED,
    ]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (RuntimeError("busy"), Later(30)),
        (TimeLimitExceeded(), Later(30)),
        (TryAgain("later", after=90.0), Later(90)),
        (TryAgain("soon", after=1.0), Later(30)),
        (Reject("never"), Death.REJECTED),
        (InvalidPayload("name: Field required"), Death.INVALID_PAYLOAD),
    ],
)
def test_an_error_decides_what_follows(error: BaseException, verdict: Later | Death) -> None:
    assert judge(FixedDelays(30), 1, error, 0.0) == verdict


def test_who_asks_for_another_try_gets_no_more_than_his_type_has() -> None:
    assert judge(FixedDelays(), 1, TryAgain("later", after=1.0), 0.0) is Death.RETRIES_EXHAUSTED


@pytest.mark.parametrize("after", [float("inf"), float("nan"), -5.0, 1e12, "30", None])
def test_nobody_is_told_to_come_again_at_no_time(after: Any) -> None:
    with pytest.raises(ValueError, match=r"^after is .*; expected seconds, from 0 to 315619200 \(ten years\)$"):
        TryAgain("later", after=after)


@pytest.mark.parametrize("delay", [float("inf"), float("nan"), -1.0, 1e12])
def test_a_policy_with_a_delay_that_is_none_is_told(delay: float) -> None:
    with pytest.raises(ValueError, match=r"^a retry's delay is .*; expected seconds, from 0 to"):
        FixedDelays(30, delay)
    with pytest.raises(ValueError, match=r"expected retries >= 0, 0 <= first <= longest <= ten years"):
        Backoff(longest=delay)


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_a_backoff_ends_and_stays_between_its_bounds(failures: int, chance: float) -> None:
    policy = Backoff(retries=3, first=5, longest=12, jitter=0.5)

    delay = policy.delay(failures, chance)

    full = {1: 5.0, 2: 10.0, 3: 12.0}.get(failures)
    assert (delay is None) == (full is None)
    if delay is not None and full is not None:
        assert full / 2 <= delay <= full


def test_a_long_traceback_keeps_its_beginning_and_its_end() -> None:
    error = RuntimeError("x" * 10_000)
    whole, short = "".join(traceback.format_exception(error)), _trace(error, 1_000)

    assert len(short) < 1_100
    assert short.startswith(whole[:500])
    assert short.endswith(whole[-500:])
    assert f"... {len(whole) - 1_000} characters are left out ..." in short
