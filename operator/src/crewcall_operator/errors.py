"""The failures that Crewcall expects, each translated once, at the adapter that met it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CrewcallError(Exception):
    """The parent of every expected failure; its text is for people."""


class QueueUnavailable(CrewcallError):
    """Redis could not be read. `endpoint` never holds a password."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(f"Redis {endpoint} cannot be read: {why}")
        self.endpoint = endpoint
        self.why = why


class TargetUnavailable(CrewcallError):
    """What runs a pool's workers could not be read or changed.

    `reason` is a CamelCase word for the AbleToScale condition, such as FailedGetScale or FailedUpdateScale.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec: where it is, what was found there, and what is allowed."""

    path: str
    value: object
    allowed: str

    def __str__(self) -> str:
        return f"{self.path}: is {self.value!r}; {self.allowed}"


class InvalidSpec(CrewcallError):
    """A WorkerPool that cannot be worked on, with every problem found in it, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
