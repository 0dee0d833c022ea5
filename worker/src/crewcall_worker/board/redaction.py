"""Fields that nobody is to see: shown as "•••" wherever the board shows a job. Pure.

A name without a dot is that of a field at any depth, in any case of letters: phone. With dots it is a path from the
payload's root: customer.card.number; `*` stands for any one name, and lists are passed through. No search finds a job
by what such a field holds. Where it holds anything, the words of the job's error and its traceback are hidden whole:
they may have it escaped, quoted or cut, in ways that nobody could list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from crewcall_worker.options import ERROR, ORGANIZATION
from crewcall_worker.queues.job_view import JobView

BLOT: Final = "•••"
_TYPE: Final = re.compile(r"((?:[A-Za-z_][A-Za-z0-9_.]*)?(?:Error|Exception|Exceeded|Warning|Reject|TryAgain)): ")
"""What an error begins with; of other words nobody can tell whether they are a type's name."""


class Redaction:
    """Hides what the names and paths tell."""

    def __init__(self, told: Iterable[str] = ()) -> None:
        paths = [tuple(name.lower().split(".")) for name in told]
        self._names = frozenset(path[0] for path in paths if len(path) == 1)
        self._paths = frozenset(path for path in paths if len(path) > 1)

    def __call__(self, value: Any) -> Any:
        """A payload, or options, without what is not for eyes."""
        return self._shown(value, ()) if self._names or self._paths else value

    def of_job(self, view: JobView) -> JobView:
        """The job without it."""
        if not self._names and not self._paths:
            return view
        organization, error, trace = view.organization_id, view.error, view.traceback
        if organization:
            organization = self.of_organization(organization)
        is_holding = view.is_cut or self._holds(view.payload, ()) or self._holds(dict(view.options), ())
        if is_holding or organization == BLOT:
            error, trace = _wordless(error), trace and BLOT
        return replace(
            view,
            organization_id=organization,
            payload=self(view.payload),
            options=self(dict(view.options)),
            error=BLOT if error and self._is_hidden((ERROR,)) else error,
            traceback=BLOT if trace and self._is_hidden(("traceback",)) else trace,
        )

    def of_organization(self, organization: str) -> str:
        """An organisation's id that is told beside a payload."""
        return BLOT if organization and self._is_hidden((ORGANIZATION,)) else organization

    def _shown(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {
                name: BLOT if self._is_hidden((*path, str(name))) else self._shown(inner, (*path, str(name)))
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._shown(inner, path) for inner in value]
        return value

    def _holds(self, value: Any, path: tuple[str, ...]) -> bool:
        """Whether anything is in a field that nobody is to see."""
        if isinstance(value, dict):
            return any(
                _is_something(inner) if self._is_hidden((*path, str(name))) else self._holds(inner, (*path, str(name)))
                for name, inner in value.items()
            )
        return isinstance(value, list) and any(self._holds(inner, path) for inner in value)

    def _is_hidden(self, path: tuple[str, ...]) -> bool:
        names = tuple(name.lower() for name in path)
        return names[-1] in self._names or any(_fits(names, it) for it in self._paths if len(it) == len(names))


def _fits(names: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return all(told in ("*", name) for name, told in zip(names, path, strict=True))


def _is_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_is_something(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_is_something(inner) for inner in value)
    return value is not None and value != ""


def _wordless(error: str | None) -> str | None:
    """An error's type, without its words."""
    if not error:
        return error
    found = _TYPE.match(error)
    return f"{found[1]}: {BLOT}" if found else BLOT
