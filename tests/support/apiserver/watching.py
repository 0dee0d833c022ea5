"""A watch: what is there, then every change as it comes, bookmarks in between, and an end that a client can mend.

Semantics of resourceVersion: kubernetes.io/docs/reference/using-api/api-concepts. As on the real server, a revision
that is too old is told inside the stream, as an ERROR event with a 410 Status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from tests.support.apiserver.failures import bad_request, expired
from tests.support.apiserver.kinds import Object, Resource
from tests.support.apiserver.selectors import Test
from tests.support.apiserver.store import Change, Record, Store, encode, event_line

_INITIAL_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch. Seconds; a `timeout` of 0 is none, `bookmark_interval` of 0 is no bookmarks."""

    resource: Resource
    namespace: str
    test: Test | None
    revision: int
    timeout: float
    bookmark_interval: float
    sends_initial: bool
    marks_initial_end: bool

    @classmethod
    def read(
        cls, resource: Resource, namespace: str, test: Test | None, query: Mapping[str, str], interval: float
    ) -> Watch:
        text = query.get("resourceVersion", "")
        if text and not text.isdigit():
            raise bad_request(f'invalid resource version "{text}"')
        initial = query.get("sendInitialEvents")
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        return cls(
            resource,
            namespace,
            test,
            int(text or 0),
            float(query.get("timeoutSeconds") or 0),
            interval if bookmarks else 0.0,
            sends_initial=text in ("", "0") if initial is None else initial == "true",
            marks_initial_end=initial == "true" and bookmarks,
        )


async def stream(store: Store, watch: Watch, request: web.BaseRequest, began: Callable[[], None]) -> web.StreamResponse:
    """Answer a watch until its time is over, it is cut, or the client goes."""
    subscription = store.subscribe(watch.resource.key)
    try:
        lines, is_over = _beginning(store, watch)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        began()
        if lines:
            await response.write(b"".join(lines))
        if not is_over:
            await _follow(store, watch, subscription.queue, response)
        await response.write_eof()
    except ConnectionResetError:
        return response
    finally:
        store.unsubscribe(subscription)
    return response


def _beginning(store: Store, watch: Watch) -> tuple[list[bytes], bool]:
    key = watch.resource.key
    if not watch.sends_initial:
        changes = store.since(key, watch.revision or store.revision)
        if changes is None:
            error = expired(f"too old resource version: {watch.revision} ({store.revision})")
            return [encode({"type": "ERROR", "object": error.status()}) + b"\n"], True
        return [line for line in (_visible(watch, change) for change in changes) if line], False
    lines = [
        event_line("ADDED", record)
        for _, record in store.all(key, watch.namespace)
        if watch.test is None or watch.test(record.object)
    ]
    if watch.marks_initial_end:
        lines.append(_bookmark(store, watch, {"annotations": _INITIAL_END}))
    return lines, False


async def _follow(
    store: Store, watch: Watch, queue: asyncio.Queue[Change | bytes | None], response: web.StreamResponse
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + watch.timeout if watch.timeout else float("inf")
    # The real server's last bookmark comes some two seconds before the end, so that a client resumes from there.
    last_mark = end - min(2.0, watch.timeout / 2)
    mark = min(loop.time() + watch.bookmark_interval, last_mark) if watch.bookmark_interval else float("inf")
    while True:
        wait = min(end, mark) - loop.time()
        try:
            item = await asyncio.wait_for(queue.get(), None if wait == float("inf") else max(wait, 0))
        except TimeoutError:
            if loop.time() >= end:
                return
            await response.write(_bookmark(store, watch))
            mark = loop.time() + watch.bookmark_interval
            mark = last_mark if loop.time() < last_mark < mark else mark
            continue
        lines = []
        while isinstance(item, Change):
            lines.append(_visible(watch, item))
            item = queue.get_nowait() if not queue.empty() else b""
        await response.write(b"".join(lines) + (item or b""))
        if item is None or item:
            return


def _visible(watch: Watch, change: Change) -> bytes:
    """A change as this watch is to see it: with a selector, coming into it is ADDED and leaving it DELETED."""
    body = change.record.object
    if watch.namespace and body["metadata"].get("namespace") != watch.namespace:
        return b""
    if watch.test is None:
        return change.line
    was = change.before is not None and watch.test(change.before)
    now = change.type != "DELETED" and watch.test(body)
    if was and now:
        return change.line
    if now:
        return change.line if change.type == "ADDED" else event_line("ADDED", change.record)
    if was:
        return change.line if change.type == "DELETED" else event_line("DELETED", _last_seen(change))
    return b""


def _last_seen(change: Change) -> Record:
    """The object as it was when it was last in the watch, at the revision at which it left."""
    assert change.before is not None
    metadata = {**change.before["metadata"], "resourceVersion": str(change.revision)}
    return Record({**change.before, "metadata": metadata})


def _bookmark(store: Store, watch: Watch, more: Object | None = None) -> bytes:
    metadata = {"resourceVersion": str(store.revision), **(more or {})}
    body = {"kind": watch.resource.kind, "apiVersion": watch.resource.api_version, "metadata": metadata}
    return encode({"type": "BOOKMARK", "object": body}) + b"\n"
