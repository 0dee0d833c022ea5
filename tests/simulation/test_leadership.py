"""Leadership: whatever goes wrong, never two that may write at once; and one again as soon as can be."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.contenders import Weather, World, contending

from crewcall_operator.core.leadership import Candidate, Record, Step, Terms, View

TERMS = Terms(lease=6, deadline=4.5, renewal=2.0, attempt=1.0, retry=0.5)
NOW = 100.0


def candidate(
    view: View = View.THERE, holder: str = "me", seen: float = NOW, granted: float | None = None, version: int = 7
) -> Candidate:
    return Candidate("me", TERMS, view, Record(holder, 6.0, version), seen, granted)


def expected(view: View, holder: str, age: float, led_for: float | None) -> tuple[Step, float]:
    """The rules, told once more: look where nothing is known; renew what is held; take what is nobody's any more."""
    leads = led_for is not None and led_for < 4.5
    free_at = NOW - age + 6.0 if holder == "other" and not leads else float("-inf")
    if view is View.UNKNOWN:
        return Step.LOOK, float("-inf")
    if view is View.ABSENT:
        return Step.CREATE, free_at
    if led_for is not None and leads:
        return Step.RENEW, NOW - led_for + 2.0
    return Step.TAKE, free_at


@pytest.mark.parametrize(
    ("view", "holder", "age", "led_for"),
    [
        case
        for case in product(View, ["", "me", "other"], [0.0, 5.9, 6.0, 60.0], [None, 0.0, 2.0, 4.4, 4.5, 60.0])
        if case[1] == "me" or case[3] is None  # who sees another's name has stopped leading
    ],
)
def test_does_what_the_rules_say_in_every_state(view: View, holder: str, age: float, led_for: float | None) -> None:
    standing = candidate(view, holder, NOW - age, None if led_for is None else NOW - led_for)

    assert standing.step(NOW) == expected(view, holder, age, led_for)


@pytest.mark.parametrize(("led_for", "left"), [(None, 0.0), (0.0, 4.5), (4.0, 0.5), (4.5, 0.0), (60.0, 0.0)])
def test_may_write_until_its_deadline_and_no_longer(led_for: float | None, left: float) -> None:
    assert candidate(granted=None if led_for is None else NOW - led_for).may_write_for(NOW) == left


def test_counts_from_when_it_began_to_ask_not_from_the_answer() -> None:
    asked = candidate(holder="").granted(Record("me", 6.0, 8), asked_at=NOW - 1.0, now=NOW)

    assert asked.may_write_for(NOW) == 3.5


def test_does_not_lead_by_an_answer_that_came_after_the_deadline() -> None:
    assert candidate(holder="").granted(Record("me", 6.0, 8), NOW - 4.5, NOW).may_write_for(NOW) == 0.0


def test_stops_at_once_when_it_sees_another_in_its_place() -> None:
    assert candidate(granted=NOW).heard(Record("other", 6.0, 8), NOW).may_write_for(NOW) == 0.0


def test_looks_again_where_its_answer_is_older_than_what_it_has_heard() -> None:
    overtaken = candidate(holder="other", version=9).granted(Record("me", 6.0, 8), NOW, NOW)

    assert (overtaken.may_write_for(NOW), overtaken.step(NOW)[0]) == (0.0, Step.LOOK)


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("version", [6, 7])
def test_an_older_sight_of_a_lease_does_not_begin_its_time_anew_nor_tells_how_it_is_now(
    version: int, view: View
) -> None:
    standing = candidate(view, holder="other", seen=NOW - 5.0)

    assert standing.heard(Record("other", 6.0, version), NOW) == standing


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize(("holder", "granted"), [("me", NOW - 1.0), ("other", None), ("", None)])
def test_a_newer_lease_is_there_since_now_and_a_leader_goes_on_where_it_has_its_name(
    view: View, holder: str, granted: float | None
) -> None:
    leading = candidate(view, granted=NOW - 1.0, seen=NOW - 3.0)

    assert leading.heard(Record(holder, 6.0, 8), NOW) == candidate(holder=holder, granted=granted, version=8)


def test_a_look_that_finds_what_was_seen_already_tells_that_it_is_still_there() -> None:
    unsure = candidate(View.UNKNOWN, "other", seen=NOW - 5.0)

    assert unsure.looked(Record("other", 6.0, 7), NOW) == candidate(View.THERE, "other", seen=NOW - 5.0)


@pytest.mark.parametrize(("version", "view"), [(6, View.THERE), (7, View.THERE), (8, View.ABSENT)])
def test_a_deletion_of_an_older_lease_counts_for_nothing(version: int, view: View) -> None:
    assert candidate(holder="other").heard_of_deletion(version) == candidate(view, "other")


def test_one_that_has_seen_no_lease_believes_that_it_was_deleted() -> None:
    assert Candidate("me", TERMS).heard_of_deletion(8) == Candidate("me", TERMS, View.ABSENT)


def test_leads_by_what_it_was_granted_and_forgets_what_failed_before() -> None:
    tried = candidate(View.ABSENT, "other", seen=NOW - 60.0).failed(NOW - 0.2)

    assert tried.granted(Record("me", 6.0, 8), NOW - 0.1, NOW) == candidate(granted=NOW - 0.1, version=8)


def test_leads_no_more_once_it_has_given_the_lease_back_or_resigned() -> None:
    leading = candidate(granted=NOW - 1.0)

    assert leading.granted(Record("", 1.0, 8), NOW, NOW) == replace(leading, seen=Record("", 1.0, 8), granted_at=None)
    assert leading.resigned() == replace(leading, granted_at=None)


def test_looks_at_once_where_its_write_was_refused() -> None:
    refused = candidate(granted=NOW - 1.0).failed(NOW).refused()

    assert refused == candidate(View.UNKNOWN, granted=NOW - 1.0)
    assert refused.step(NOW) == (Step.LOOK, float("-inf"))


def test_waits_anew_after_each_renewal_it_hears_of() -> None:
    standing = candidate(holder="other", seen=NOW - 5.0).heard(Record("other", 6.0, 8), NOW)

    assert standing.step(NOW) == (Step.TAKE, NOW + 6.0)


def test_takes_what_was_given_back_at_once() -> None:
    standing = candidate(holder="other", seen=NOW).heard(Record("", 1.0, 8), NOW)

    assert standing.step(NOW)[1] <= NOW


def test_waits_for_the_holder_of_a_lease_that_somebody_deleted() -> None:
    standing = candidate(holder="other", seen=NOW - 1.0).heard_of_deletion(8)

    assert standing.step(NOW) == (Step.CREATE, NOW + 5.0)


def test_a_leader_makes_a_deleted_lease_anew_at_once() -> None:
    standing = candidate(granted=NOW - 1.0).heard_of_deletion(8)

    assert standing.step(NOW)[0] is Step.CREATE
    assert standing.step(NOW)[1] <= NOW


def test_believes_a_look_even_where_the_server_was_set_back() -> None:
    standing = candidate(holder="other", seen=NOW - 5.0, version=7).looked(Record("other", 6.0, 3), NOW)

    assert standing.step(NOW) == (Step.TAKE, NOW + 6.0)


def test_tries_again_a_little_later_what_failed() -> None:
    assert candidate(granted=NOW - 3.0).failed(NOW).step(NOW) == (Step.RENEW, NOW + 0.5)


def test_has_time_for_two_renewals_before_its_deadline() -> None:
    assert TERMS.renewal + TERMS.attempt + TERMS.retry + TERMS.attempt <= TERMS.deadline < TERMS.lease
    assert Terms() == TERMS


def trouble(world: World, seconds: float) -> None:
    """Cut off, freeze, kill and end contenders at random for so long; each takes its place again as a new process."""
    random, end = world.random, world.now + seconds
    while world.now < end:
        contender = random.choice(world.contenders)
        match random.choice(["cut", "freeze", "kill", "resign", "nothing"]):
            case "cut":
                contender.cut_until = world.now + random.uniform(0.0, 15.0)
            case "freeze":
                contender.frozen_until = world.now + random.uniform(0.0, 15.0)
            case "kill":
                contender.is_dead = True
            case "resign":
                world.resign(contender)
        world.run(random.uniform(0.0, 5.0))
        for index, dead in enumerate(world.contenders):
            if dead.is_dead:
                reborn = contending(random, 1, dead.candidate.terms, skew=0.0).contenders[0]
                reborn.candidate = Candidate(f"{dead.candidate.me}'", dead.candidate.terms)
                reborn.rate = dead.rate
                world.contenders[index] = reborn
                world.start(reborn)


@settings(max_examples=150, deadline=None)
@given(
    random=st.integers(0, 2**32).map(Random),
    contenders=st.integers(2, 5),
    lost=st.sampled_from([0.0, 0.1, 0.5]),
    delay=st.sampled_from([0.02, 0.5, 3.0]),
    unheard=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_never_two_may_write_at_once(
    random: Random, contenders: int, lost: float, delay: float, unheard: float
) -> None:
    world = contending(random, contenders, TERMS, skew=0.14)
    world.weather = Weather(lost, delay, unheard)

    trouble(world, 60.0)

    assert world.most_leading <= 1


@settings(max_examples=50, deadline=None)
@given(random=st.integers(0, 2**32).map(Random), contenders=st.integers(2, 5))
def test_one_leads_again_within_nine_seconds_of_any_trouble(random: Random, contenders: int) -> None:
    world = contending(random, contenders, TERMS, skew=0.02)
    world.weather = Weather(lost=0.2, delay=0.5, unheard=0.5)
    trouble(world, 30.0)

    world.weather = Weather()
    world.run(max(0.0, *(max(it.cut_until, it.frozen_until) - world.now for it in world.contenders)))
    world.run(9.0)

    assert sum(contender.leads(world.now) for contender in world.contenders) == 1


def test_two_would_write_at_once_if_the_deadline_were_beyond_the_lease() -> None:
    """What the property is worth: it finds the mistake that it is there for."""

    def most_leading(seed: int) -> int:
        world = contending(Random(seed), 3, Terms(lease=6, deadline=9.0), skew=0.0)
        trouble(world, 60.0)
        return world.most_leading

    assert max(most_leading(seed) for seed in range(20)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_next_leads_within_a_moment_of_a_clean_end_and_within_seven_seconds_of_a_kill(seed: int) -> None:
    world = contending(Random(seed), 3, TERMS, skew=0.0)
    world.run(5.0)
    first = next(it for it in world.contenders if it.leads(world.now))
    world.resign(first)
    world.run(0.1)
    second = next(it for it in world.contenders if it.leads(world.now))

    second.is_dead = True
    world.run(7.0)

    (third,) = [it for it in world.contenders if it.leads(world.now)]
    assert world.handovers == [it.candidate.me for it in (first, second, third)]
