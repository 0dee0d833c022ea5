"""The failures that Crewcall expects, each translated once, at the adapter that met it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from crewcall_operator.core.observation import Fleet

#: Refusals that may be none the next time.
_PASSING = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


class CrewcallError(Exception):
    """The parent of every expected failure; its text is for people."""


class BadSetting(CrewcallError):
    """What somebody set cannot be used; nothing starts with it."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name} is {str(value)!r}; {allowed}")


class QueueUnavailable(CrewcallError):
    """Redis could not be read, or `cannot_be` "written to". `endpoint` never holds a password."""

    def __init__(self, endpoint: str, why: str, cannot_be: str = "read") -> None:
        super().__init__(f"Redis {endpoint} cannot be {cannot_be}: {why}")
        self.endpoint = endpoint
        self.why = why


class TargetUnavailable(CrewcallError):
    """What runs a pool's workers could not be read or changed.

    `reason` is a CamelCase word for a condition, such as FailedGetScale or FailedUpdateScale; `fleet` is what can be
    scaled all the same, None where nothing can.
    """

    def __init__(self, reason: str, message: str, fleet: Fleet | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.fleet = fleet


class ApiError(CrewcallError):
    """The Kubernetes API server refused a request, or did not answer: then `status` is None."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_lasting(self) -> bool:
        """Whether the same request would be refused again."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in _PASSING


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec: where it is, what was found there, and what is allowed.

    `value` is None where there is none, or where it must not be shown because it may hold a secret.
    """

    path: str
    value: object
    allowed: str

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.path}: {self.allowed}"
        shown = json.dumps(self.value, default=repr)
        return f"{self.path}: is {shown if len(shown) <= 60 else shown[:59] + '…'}; {self.allowed}"


class InvalidSpec(CrewcallError):
    """A WorkerPool that cannot be worked on, with every problem found in it, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
