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
    """The pool of this name and uid scales a Deployment that had so many replicas before."""

    pool: str
    uid: str
    replicas: int


def read_note(live: Mapping[str, Any]) -> Note | None:
    """The note on a Deployment; None where there is none, or none that can be understood."""
    try:
        found = json.loads((live["metadata"].get("annotations") or {})[ANNOTATION_BORROWED])
        return Note(str(found["pool"]), str(found["uid"]), int(found["replicas"]))
    except (KeyError, TypeError, ValueError):
        return None


def noting(pool: Pool, live: Mapping[str, Any]) -> Json | None:
    """The merge patch that notes `live` as borrowed by `pool`; None where it is.

    What a pool that is gone has noted before still holds: it was never given back.
    """
    note = read_note(live)
    if note is not None and note.uid == pool.uid:
        return None
    replicas = live["spec"]["replicas"] if note is None else note.replicas
    text = json.dumps(Note(pool.key.name, pool.uid, replicas)._asdict())
    return _change(live, text)


def giving_back(live: Mapping[str, Any], note: Note) -> Json:
    """The merge patch that undoes it: the replicas as they were, and no note."""
    return {**_change(live, None), "spec": {"replicas": note.replicas}}


def _change(live: Mapping[str, Any], text: str | None) -> Json:
    # The uid, so that a Deployment that was made anew under the name is not meant: the server refuses it.
    return {"metadata": {"uid": live["metadata"]["uid"], "annotations": {ANNOTATION_BORROWED: text}}}
