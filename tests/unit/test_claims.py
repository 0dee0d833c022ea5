"""At most one pool scales a Deployment."""

from __future__ import annotations

from crewcall_operator.adapters.claims import Claims
from crewcall_operator.api.pool import PoolKey

FIRST, SECOND = PoolKey("shop", "first"), PoolKey("shop", "second")
OLD, NEW = PoolKey("shop", "old"), PoolKey("shop", "new")


def test_a_deployment_is_the_first_ones_that_asked_for_it() -> None:
    claims = Claims()

    assert [claims.claim(pool, OLD) for pool in (FIRST, SECOND, FIRST)] == [FIRST] * 3


def test_a_pool_that_asks_for_another_deployment_leaves_the_old_one_free() -> None:
    claims = Claims()
    claims.claim(FIRST, OLD)

    assert claims.claim(FIRST, NEW) == FIRST
    assert claims.claim(SECOND, OLD) == SECOND


def test_a_pool_that_asks_for_one_that_is_taken_holds_none() -> None:
    claims = Claims()
    claims.claim(FIRST, OLD)
    claims.claim(SECOND, NEW)

    assert claims.claim(FIRST, NEW) == SECOND
    assert claims.claim(SECOND, OLD) == SECOND


def test_a_pool_that_is_gone_leaves_its_deployment_free_and_nobody_elses() -> None:
    claims = Claims()
    claims.claim(FIRST, OLD)
    claims.claim(SECOND, OLD)

    claims.release(SECOND)
    assert claims.claim(SECOND, OLD) == FIRST
    claims.release(FIRST)
    claims.release(FIRST)
    assert claims.claim(SECOND, OLD) == SECOND
