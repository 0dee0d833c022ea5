"""What a Deployment that exists had before a pool began to scale it, noted on the Deployment itself.

A note, since there is no finalizer: whoever finds a Deployment whose pool is gone can give it back, also an operator
that was away when the pool went. How and when belongs to `adapters.borrowing`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from crewcall_operator.api.names import ANNOTATION_BORROWED
from crewcall_operator.api.pool import Pool

Json = dict[str, Any]


class Note(NamedTuple):
    """The pool of this name and uid scales the Deployment of the uid `deployment`, which had `replicas` before and was
    given `given` by it last."""

    pool: str
    uid: str
    replicas: int
    given: int
    deployment: str


def read_note(live: Mapping[str, Any]) -> Note | None:
    """The note on a Deployment; None where there is none, or none that can be understood, or one of another Deployment,
    of which this one was copied."""
    note = _written(live)
    return note if note is not None and note.deployment == live["metadata"]["uid"] else None


def noted(live: Mapping[str, Any] | None) -> str:
    """The uid of the pool that is noted to borrow it; "" where none is."""
    note = None if live is None else read_note(live)
    return "" if note is None else note.uid


def has_note_of_another(live: Mapping[str, Any]) -> bool:
    """Whether the note on it was made for another Deployment, and copied with it."""
    return _written(live) is not None and read_note(live) is None


def lending(pool: Pool, live: Mapping[str, Any], replicas: int | None = None) -> Json:
    """The merge patch that gives `live` so many replicas, and notes that `pool` borrows it; the note alone where None.

    Replicas are given to the Deployment as it was seen and no other. What a pool that is gone has noted before still
    holds: it was never given back.
    """
    current = live["spec"]["replicas"]
    note = read_note(live) or Note("", "", current, current, "")
    given = note.given if replicas is None else replicas
    new = Note(pool.key.name, pool.uid, note.replicas, given, live["metadata"]["uid"])
    return _change(live, json.dumps(new._asdict()), replicas)


def giving_back(live: Mapping[str, Any]) -> Json:
    """The merge patch that undoes it: no note, and the former replicas, unless somebody has changed them since."""
    note = read_note(live)
    is_as_given = note is not None and live["spec"]["replicas"] == note.given
    return _change(live, None, note.replicas if note is not None and is_as_given else None)


def leaving(live: Mapping[str, Any]) -> Json:
    """The merge patch that takes the note off and leaves the replicas as they are."""
    return _change(live, None)


def _written(live: Mapping[str, Any]) -> Note | None:
    try:
        found = json.loads((live["metadata"].get("annotations") or {})[ANNOTATION_BORROWED])
        replicas, given = int(found["replicas"]), int(found["given"])
        return Note(str(found["pool"]), str(found["uid"]), replicas, given, str(found["deployment"]))
    except (KeyError, TypeError, ValueError):
        return None


def _change(live: Mapping[str, Any], text: str | None, replicas: int | None = None) -> Json:
    # The uid, so that a Deployment that was made anew under the name is not meant; the version where its replicas are
    # changed, as somebody else may have done that meanwhile. The server refuses both.
    change: Json = {"metadata": {"uid": live["metadata"]["uid"], "annotations": {ANNOTATION_BORROWED: text}}}
    if replicas is not None:
        change["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        change["spec"] = {"replicas": replicas}
    return change
