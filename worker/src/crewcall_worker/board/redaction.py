"""Fields that nobody is to see: shown as "•••" wherever the board shows a job. Pure.

A name without a dot is that of a field at any depth, in any case of letters: phone. With dots it is a path from the
payload's root: customer.card.number; `*` stands for any one name, and lists are passed through. What such a field holds
is blotted out of the job's error and traceback as well, and no search finds a job by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from crewcall_worker.queues.job_view import JobView

BLOT: Final = "•••"
SHORTEST = 4
"""Characters of a value that is blotted out of texts: shorter ones are in every text."""


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
        secret = sorted(
            {text for value in (view.payload, dict(view.options)) for text in self._hidden(value, ())},
            key=len,
            reverse=True,
        )
        return replace(
            view,
            payload=self(view.payload),
            options=self(dict(view.options)),
            error=_blotted(view.error, secret),
            traceback=_blotted(view.traceback, secret),
        )

    def _shown(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {
                name: BLOT if self._is_hidden((*path, str(name))) else self._shown(inner, (*path, str(name)))
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._shown(inner, path) for inner in value]
        return value

    def _hidden(self, value: Any, path: tuple[str, ...]) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                here = (*path, str(name))
                yield from _leaves(inner) if self._is_hidden(here) else self._hidden(inner, here)
        elif isinstance(value, list):
            for inner in value:
                yield from self._hidden(inner, path)

    def _is_hidden(self, path: tuple[str, ...]) -> bool:
        names = tuple(name.lower() for name in path)
        return names[-1] in self._names or any(_fits(names, it) for it in self._paths if len(it) == len(names))


def _fits(names: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return all(told in ("*", name) for name, told in zip(names, path, strict=True))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        text = str(value)
        if len(text) >= SHORTEST:
            yield text
            # As a traceback has it, in the repr of something.
            quoted = repr(text)[1:-1]
            if quoted != text:
                yield quoted


def _blotted(text: str | None, secret: Iterable[str]) -> str | None:
    if text is None:
        return None
    for value in secret:
        text = text.replace(value, BLOT)
    return text
