"""Values of Secrets and ConfigMaps, by name and key, read with no more right than `get`.

A watch would tell of a change at once, but takes the right to list all Secrets of a namespace (docs/adr/0024); so each
object that is named is read again every minute, and sooner where somebody doubts it. That happens beside the caller,
who is given what is known meanwhile: only the first time has to be waited for. What an API server that is away cannot
tell stays as it was. A value is never part of an error.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.api.pool import Holder, KeyRef
from crewcall_operator.errors import ApiError, CrewcallError
from crewcall_operator.ports import Clock

#: Seconds after which an object is read again, and after which one that is doubted or was not to be had.
KEPT, DOUBTED = 60.0, 3.0

#: Seconds after which an object that nobody asks for is forgotten.
UNUSED = 600.0


class KeyUnavailable(CrewcallError):
    """There is no such value, or it cannot be read. The text names object and key."""


class _Object(NamedTuple):
    kind: Holder
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(slots=True)
class _Known:
    """What an object held when it was last read: its data, or why it has none."""

    data: Mapping[str, str] = field(default_factory=dict, repr=False)
    trouble: str = "has not been read yet"
    read_at: float = float("-inf")
    used_at: float = 0.0
    is_doubted: bool = False
    reading: asyncio.Task[None] | None = None


class KeyValues:
    """Reads and keeps them."""

    def __init__(self, api: KubernetesApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[_Object, _Known] = {}

    async def value(self, ref: KeyRef) -> str:
        """What is under that key, without an end of line. Raises `KeyUnavailable`."""
        wanted = _Object(ref.kind, ref.namespace, ref.name)
        known = self._known.get(wanted)
        if known is None:
            self._forget_unused()
            known = self._known[wanted] = _Known()
        known.used_at = self._clock()
        reading = self._refreshed(wanted, known)
        if known.read_at == float("-inf") and reading is not None:
            await asyncio.shield(reading)
        if known.trouble:
            raise KeyUnavailable(known.trouble)
        if ref.key not in known.data:
            # Without the keys that are there: who may read a pool's status need not know what a Secret holds.
            raise KeyUnavailable(f'{wanted} has no key "{ref.key}"; write it there, or name another one')
        return _text(ref, known.data[ref.key])

    def doubt(self, ref: KeyRef) -> None:
        """What is known of it may have changed: read it again soon."""
        if (known := self._known.get(_Object(ref.kind, ref.namespace, ref.name))) is not None:
            known.is_doubted = True

    def _refreshed(self, wanted: _Object, known: _Known) -> asyncio.Task[None] | None:
        """The reading that goes on, begun where it is time."""
        if known.reading is None or known.reading.done():
            known.reading = None
            kept = DOUBTED if known.is_doubted or known.trouble else KEPT
            if self._clock() - known.read_at >= kept:
                known.reading = asyncio.create_task(self._read(wanted, known))
        return known.reading

    async def _read(self, wanted: _Object, known: _Known) -> None:
        plural = "secrets" if wanted.kind == "Secret" else "configmaps"
        path = f"/api/v1/namespaces/{wanted.namespace}/{plural}/{wanted.name}"
        try:
            body = await self._api.get(path)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                known.data, known.trouble = {}, f"there is no {wanted}; make it, or name another one"
            elif error.status == HTTPStatus.FORBIDDEN:
                known.data, known.trouble = {}, f"the operator may not get {wanted}: {error}"
            elif known.trouble:
                known.trouble = f"{wanted} cannot be read: {error}"
        else:
            known.data, known.trouble = _data(body), ""
        known.read_at, known.is_doubted = self._clock(), False

    def _forget_unused(self) -> None:
        now = self._clock()
        self._known = {it: known for it, known in self._known.items() if now - known.used_at < UNUSED}


def _data(body: Mapping[str, Any]) -> Mapping[str, str]:
    data: Mapping[str, str] = body.get("data") or {}
    return data


def _text(ref: KeyRef, value: str) -> str:
    try:
        text = base64.b64decode(value).decode() if ref.kind == "Secret" else value
    except UnicodeDecodeError:
        raise KeyUnavailable(f"{ref} is not text in UTF-8") from None
    if not (stripped := text.rstrip("\r\n")):
        raise KeyUnavailable(f"{ref} is empty")
    return stripped
