"""What follows from what an operator is told when it starts."""

from __future__ import annotations

import pytest

from crewcall_operator.interval import LONGEST, SHORTEST
from crewcall_operator.main import STUCK, stuck_after
from crewcall_operator.settings import OperatorSettings


def test_operators_of_everything_agree_by_one_lease() -> None:
    assert OperatorSettings().lease_name == "crewcall"


def test_takes_the_lease_that_it_is_told_of() -> None:
    assert OperatorSettings(namespaces=("shop",), lease="ops/crewcall-shop").lease_name == "crewcall-shop"


def test_operators_that_serve_different_pools_have_different_leases() -> None:
    told = [
        OperatorSettings(),
        OperatorSettings(namespaces=("shop",)),
        OperatorSettings(namespaces=("shop", "mail")),
        OperatorSettings(selector="shard=a"),
        OperatorSettings(namespaces=("shop",), selector="shard=a"),
    ]

    assert len({settings.lease_name for settings in told}) == len(told)


def test_the_order_of_the_namespaces_does_not_matter() -> None:
    one, other = OperatorSettings(namespaces=("shop", "mail")), OperatorSettings(namespaces=("mail", "shop"))

    assert one.lease_name == other.lease_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("shard=a,tier=b", " tier = b , shard==a"),
        ("shard in (a, b),!test", "!test, shard  in (b,a)"),
        ("shard notin (a, b)", "shard notin ( b ,a )"),
        ("shard=a", "shard in (a)"),
        ("shard!=a", "shard notin (a)"),
        ("shard=a", "shard=a,shard=a"),
    ],
)
def test_the_spelling_of_the_selector_does_not_matter(one: str, other: str) -> None:
    assert OperatorSettings(selector=one).lease_name == OperatorSettings(selector=other).lease_name


def test_other_selectors_are_other_parts() -> None:
    told = [
        "shard",
        "!shard",
        "shard=a",
        "shard!=a",
        "shard in (a, b)",
        "shard notin (a, b)",
        "shard=a,tier=b",
        "a=b,c",
    ]

    assert len({OperatorSettings(selector=it).lease_name for it in told}) == len(told)


@pytest.mark.parametrize("interval", [SHORTEST, 0.5, 25.0, LONGEST])
def test_a_loop_that_waits_for_its_next_tick_is_not_stuck(interval: float) -> None:
    assert stuck_after(interval) >= max(STUCK, 2 * interval)
