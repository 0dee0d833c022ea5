"""How many jobs a worker runs at once: of all, and of each queue."""

from __future__ import annotations

import pytest

from crewcall_worker.concurrency import Capacity, capacity

NOBODYS: list[tuple[str, int | None]] = []


def test_a_worker_that_was_told_nothing_runs_as_many_as_dramatiqs() -> None:
    assert capacity(["sms", "email"], NOBODYS, {}, None) == Capacity(8, {})


def test_a_queue_has_the_limit_that_the_worker_was_told_whatever_its_jobs_say() -> None:
    made = capacity(["sms", "other"], [("sms", 5), ("other", None)], {"sms": 2}, 8)

    assert made == Capacity(8, {"sms": 2})


def test_of_the_job_types_of_a_queue_the_most_cautious_one_counts() -> None:
    made = capacity(["sms", "other"], [("sms", 5), ("sms", None), ("sms", 3)], {}, None)

    assert made == Capacity(8, {"sms": 3})


def test_limits_of_other_workers_queues_are_left_out() -> None:
    assert capacity(["sms", "mail"], [("rules", 5)], {"sms": 2, "alerts": 10}, None) == Capacity(8, {"sms": 2})


@pytest.mark.parametrize(("told", "threads"), [(None, 7), (4, 4), (50, 7)])
def test_where_every_queue_has_a_limit_no_thread_is_started_that_would_never_have_a_job(
    told: int | None, threads: int
) -> None:
    assert capacity(["sms", "email"], NOBODYS, {"sms": 5, "email": 2}, told).threads == threads


def test_the_sum_of_limits_is_no_more_than_a_worker_can_have() -> None:
    assert capacity(["sms", "email"], NOBODYS, {"sms": 1000, "email": 1000}, None).threads == 1000


def test_is_told_in_words() -> None:
    assert Capacity(8, {"sms": 5}).of(["sms", "email"]) == "sms (5 at once), email"
