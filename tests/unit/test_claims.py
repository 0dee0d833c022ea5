"""One pool scales a Deployment, and it is the same one whatever the order in which they are met."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from tests.support.pools import pool

from crewcall_operator.adapters.claims import Claims
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.errors import TargetUnavailable

OLDER = replace(pool("z-older"), created="2026-01-01T00:00:00Z")
NEWER = replace(pool("newer"), created="2026-01-02T00:00:00Z")
MAKER = replace(pool("a", uid="maker"), created="2026-01-03T00:00:00Z", template={}, deployment_ref=None)
HERE, THERE = PoolKey("shop", "a"), PoolKey("shop", "there")


def claims(*pools: Pool) -> Claims:
    found = Claims()
    for each in pools:
        found.ask(each, HERE)
    return found


@pytest.mark.parametrize("order", [*permutations((OLDER, NEWER))])
def test_a_deployment_is_the_older_pools(order: tuple[Pool, ...]) -> None:
    assert claims(*order).holder(HERE) == OLDER


@pytest.mark.parametrize("order", [*permutations((OLDER, NEWER))])
def test_it_stays_with_the_one_that_is_noted_on_it(order: tuple[Pool, ...]) -> None:
    assert claims(*order).holder(HERE, NEWER.uid) == NEWER


@pytest.mark.parametrize("order", [*permutations((OLDER, MAKER))])
def test_it_is_the_pools_that_makes_it(order: tuple[Pool, ...]) -> None:
    assert claims(*order).holder(HERE) == MAKER


def test_of_two_made_at_once_it_is_the_first_by_name() -> None:
    twin = replace(NEWER, key=PoolKey("shop", "twin"))

    assert claims(twin, NEWER).holder(HERE) == NEWER


def test_a_pool_that_asks_for_another_deployment_leaves_the_old_one_free() -> None:
    found = claims(OLDER, NEWER)
    found.ask(OLDER, THERE)

    assert (found.holder(HERE), found.holder(THERE)) == (NEWER, OLDER)


def test_a_pool_that_is_gone_leaves_its_deployment_free() -> None:
    found = claims(OLDER, NEWER)

    found.withdraw(OLDER.key)
    assert found.holder(HERE) == NEWER
    found.withdraw(NEWER.key)
    found.withdraw(NEWER.key)
    assert found.holder(HERE) is None


def test_the_other_pool_is_told_who_has_it() -> None:
    found = claims(OLDER, NEWER)

    found.refuse(OLDER, HERE)
    with pytest.raises(TargetUnavailable, match="WorkerPool shop/z-older scales Deployment shop/a already"):
        found.refuse(NEWER, HERE)
