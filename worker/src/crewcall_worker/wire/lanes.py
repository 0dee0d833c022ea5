"""Lanes: where the messages of organisations, and those with a priority, wait within their queue. Pure.

A lane's name is its priority and its organisation, "1:acme"; without one, "1:". How lanes have their turns is said in
`lua/fetch.lua` and `lua/enqueue.lua`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_URGENT, LEAST_URGENT, NORMAL = 0, 9, 1
"""Priorities: within a queue all of a lower number goes before all of a higher one."""

TURNS: Final = 1_000_000_000_000
"""What a lane's score in `lanes:<queue>` is: priority * TURNS + its turn. No queue ever has as many turns, for a
priority without lanes begins anew at 0."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of a queue; without an organisation, "" stands for it."""

    priority: int
    organization: str

    @property
    def name(self) -> str:
        """What it is called in keys."""
        return f"{self.priority}:{self.organization}"


def lane_of(priority: object, organization: object) -> Lane | None:
    """The lane of a message with such options; None where it has neither, and waits in Dramatiq's own list.

    Raises `ValueError` where the priority is none, or the organisation no text.
    """
    if priority is None and organization is None:
        return None
    number = NORMAL if priority is None else priority
    if not isinstance(number, int) or not MOST_URGENT <= number <= LEAST_URGENT:
        raise ValueError(f"priority is {number!r}; expected a whole number from {MOST_URGENT} to {LEAST_URGENT}")
    if organization is not None and (not isinstance(organization, str) or not organization):
        raise ValueError(f"organization_id is {organization!r}; expected a text that is not empty")
    return Lane(int(number), organization or "")


def read_lane(name: str) -> Lane:
    """The lane of that name. Raises `ValueError` where it is none."""
    priority, colon, organization = name.partition(":")
    if not colon or not priority.isdecimal():
        raise ValueError(f'lane is "{name}"; expected a priority, a colon and an organisation')
    return Lane(int(priority), organization)
