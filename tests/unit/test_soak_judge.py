"""The judge of `make soak` condemns what is wrong, and nothing else: else a soak that passes says nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from benchmarks.soak_judge import MOST, WINDOW, Judge, Level, Subject
from tests.support.apiserver import Entry

TARGET = ("shop", "sms")
NOW = time.monotonic()


def judging(*levels: tuple[float, int], replicas: int = 3) -> Judge:
    """A judge of a pool whose queue has had so many jobs since so many seconds before now."""
    subject = Subject(TARGET, "mortal", levels=[Level(jobs, NOW - ago, NOW - ago) for ago, jobs in levels])
    return Judge({TARGET: subject}, operators={"token": "elder"}, replicas={TARGET: replicas})


def scaling(replicas: int, **words: Any) -> Entry:
    entry = Entry("PATCH", "", "", "", words.pop("token", "token"), NOW, "patch", "deployments.apps", "scale", *TARGET)
    entry.body, entry.status = {"spec": {"replicas": replicas}}, words.pop("status", 200)
    return entry


def verdict(judge: Judge, entry: Entry) -> list[str]:
    judge.saw(entry)
    return [words.partition("shop/sms ")[2] for words in judge.wrong]


@pytest.mark.parametrize(
    ("levels", "replicas", "wrong"),
    [
        ([(60.0, 50)], 5, []),
        ([(60.0, 50)], 6, ["3 -> 6: no more than 5 were asked for"]),
        ([(60.0, 500)], 11, ["3 -> 11: outside 0-10", f"3 -> 11: no more than {MOST} were asked for"]),
        ([(60.0, 10)], 1, []),
        ([(60.0, 30), (WINDOW + 1, 10)], 1, []),
        ([(60.0, 30), (1.0, 10)], 1, ["3 -> 1: 3 were asked for within the window"]),
        ([(60.0, 10)], 0, ["3 -> 0: 1 were asked for within the window"]),
    ],
    ids=["up", "up too far", "out of bounds", "down", "down after the window", "down too soon", "down too far"],
)
def test_judges_a_change_by_what_was_asked_for(
    levels: list[tuple[float, int]], replicas: int, wrong: list[str]
) -> None:
    assert verdict(judging(*levels), scaling(replicas)) == wrong


@pytest.mark.parametrize(
    ("jobs", "replicas", "wrong"),
    [
        (50, MOST, []),
        (50, 1, []),
        (1, 0, ["3 -> 0: 1 were asked for within the window"]),
        (0, 0, []),
        (50, 11, ["3 -> 11: outside 0-10", "3 -> 11: no more than 10 were asked for"]),
    ],
    ids=["as many as there may be", "one", "none while a job waits", "none", "out of bounds"],
)
def test_holds_a_promise_to_its_bounds_and_to_a_replica_while_anything_waits(
    jobs: int, replicas: int, wrong: list[str]
) -> None:
    judge = judging((60.0, jobs))
    judge.subjects[TARGET].promises = True

    assert verdict(judge, scaling(replicas)) == wrong


@pytest.mark.parametrize(("replicas", "wrong"), [(3, 0), (5, 0), (6, 1), (2, 1)])
def test_takes_both_levels_for_possible_while_one_is_replaced(replicas: int, wrong: int) -> None:
    judge = judging((60.0, 30), replicas=4)
    judge.subjects[TARGET].levels.append(Level(50, NOW - 0.1))

    assert len(verdict(judge, scaling(replicas))) == wrong


def test_condemns_a_change_while_blind() -> None:
    judge = judging((60.0, 50))
    with judge.blinding("mortal"):
        late = scaling(5)
        late.at = time.monotonic() + 5.0

        (wrong,) = verdict(judge, late)
        assert wrong.startswith("3 -> 5: blind for 5.")


def test_lets_a_change_pass_that_was_decided_on_before() -> None:
    judge = judging((60.0, 50))
    with judge.blinding("mortal"):
        assert verdict(judge, scaling(5)) == []


@pytest.mark.parametrize(("before", "after", "wrong"), [(12, MOST, 0), (0, 2, 0), (12, 9, 1), (0, 3, 1), (4, 2, 1)])
def test_lets_the_blind_keep_to_bounds_and_schedule(before: int, after: int, wrong: int) -> None:
    judge = judging((60.0, 130), replicas=before)
    judge.subjects[TARGET].floor = 2
    judge._blind["mortal"] = [(NOW - 5.0, NOW + 5.0)]

    assert len([words for words in verdict(judge, scaling(after)) if "blind for 5.0 s" in words]) == wrong


def test_expects_nobody_to_go_by_a_level_that_could_not_be_seen() -> None:
    judge = judging((5.5, 30), (0.6, 10))
    judge._blind["mortal"] = [(NOW - 5.0, NOW - 1.0)]

    assert verdict(judge, scaling(1)) == []


@pytest.mark.parametrize(("gone_for", "wrong"), [(3.0, []), (60.0, ["made for a pool that was gone for 60.0 s"])])
def test_condemns_what_is_made_for_a_pool_that_is_long_gone(gone_for: float, wrong: list[str]) -> None:
    judge = judging((60.0, 0))
    judge.subjects[TARGET].gone_since = NOW - gone_for
    made = scaling(0)
    made.verb, made.subresource, made.name = "create", "", ""
    made.body["metadata"] = {"name": "sms"}

    assert verdict(judge, made) == wrong


@pytest.mark.parametrize("words", [{"token": "somebody else's"}, {"status": 409}])
def test_judges_nobody_but_operators_and_nothing_but_what_was_accepted(words: dict[str, Any]) -> None:
    assert verdict(judging((60.0, 50)), scaling(9, **words)) == []
