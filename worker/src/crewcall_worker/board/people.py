"""Who is at the board, and what they may do there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do: see everything, or act as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has shown who they are. `until` is when that ends, in seconds since the epoch."""

    subject: str
    role: Role
    until: float

    @property
    def may_act(self) -> bool:
        """Whether the role allows to change anything; a board that is read only refuses all the same."""
        return self.role is Role.OPERATOR
