"""What is wanted of a pool, by its spec and by hand."""

from __future__ import annotations

from dataclasses import replace

from tests.support.pools import policy

from crewcall_operator.core.pin import Pin
from crewcall_operator.core.policy import pinned


def test_a_pin_by_hand_counts_where_the_spec_has_none_and_says_whose_it_is() -> None:
    by_hand = Pin(6, "ada")

    assert pinned(policy(), by_hand) == replace(policy(pinned=6), pinned_by="a pin of ada")
    assert pinned(policy(pinned=2), by_hand) == policy(pinned=2)
    assert pinned(policy(), None) == policy()
