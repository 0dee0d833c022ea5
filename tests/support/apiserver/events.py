"""Events in their two versions, which the server keeps as one: `v1` and `events.k8s.io/v1`."""

from __future__ import annotations

from tests.support.apiserver.kinds import Object

_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
_BACK = {core: new for new, core in _NAMES.items()}


def to_core(event: Object) -> Object:
    """An `events.k8s.io/v1` Event as the `v1` one that is stored."""
    return {**{_NAMES.get(name, name): value for name, value in event.items()}, "apiVersion": "v1"}


def from_core(event: Object) -> Object:
    """A stored Event as `events.k8s.io/v1` has it."""
    return {**{_BACK.get(name, name): value for name, value in event.items()}, "apiVersion": "events.k8s.io/v1"}
