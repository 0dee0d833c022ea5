"""The scheduler and the kubelets in one: pods get a node, start after a while, and end after a while."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.support.apiserver.controller import PODS, Controller
from tests.support.apiserver.deletion import Deletion, delete
from tests.support.apiserver.kinds import Object
from tests.support.apiserver.store import Change, Name, Record
from tests.support.apiserver.writes import Writer

NODE = "node-1"


@dataclass(slots=True)
class PodOptions:
    """How pods behave; may be changed at any time, and holds for what happens next. Times in seconds.

    A pod told to end takes `stops_after`, but never longer than its grace.
    """

    starts_after: float = 0.02
    stops_after: float = 0.02
    is_schedulable: bool = True
    crashes: bool = False


class Kubelet(Controller):
    """Runs pods that nobody runs. `options` may be changed while it does."""

    manager = "kubelet"

    def __init__(self, writer: Writer, options: PodOptions) -> None:
        super().__init__(writer)
        self.options = options
        self._timers: set[asyncio.TimerHandle] = set()

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            for timer in self._timers:
                timer.cancel()

    def react(self, change: Change) -> None:
        if change.key != PODS or change.type == "DELETED":
            return
        metadata = change.record.object["metadata"]
        name, uid = (metadata["namespace"], metadata["name"]), metadata["uid"]
        if "deletionTimestamp" in metadata:
            if not change.before or "deletionTimestamp" not in change.before["metadata"]:
                self._later(min(self.options.stops_after, metadata["deletionGracePeriodSeconds"]), name, uid, self._end)
        elif change.type == "ADDED" and "nodeName" not in change.record.object["spec"]:
            self._schedule(name, uid)

    def retry(self) -> None:
        """Schedule what could not be scheduled before, once the options allow it."""
        for name, record in self.store.all(PODS):
            if "nodeName" not in record.object["spec"]:
                self._schedule(name, record.object["metadata"]["uid"])

    def crash(self, namespace: str, name: str) -> None:
        """Let a pod's containers end with an error: it is not ready, and starts again after a while."""
        record = self.store.get(PODS, (namespace, name))
        assert record is not None, f"there is no pod {namespace}/{name} to crash"
        self._crash(record)
        self._later(self.options.starts_after, (namespace, name), record.object["metadata"]["uid"], self._start)

    def evict(self, namespace: str, name: str) -> None:
        """Let a pod fail for good, as a node under pressure does; its ReplicaSet makes another."""
        record = self.store.get(PODS, (namespace, name))
        assert record is not None, f"there is no pod {namespace}/{name} to evict"
        status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
        self.write_status(PODS, record, status)

    def _later(self, delay: float, name: Name, uid: str, act: Any) -> None:
        def due() -> None:
            self._timers.discard(timer)
            record = self.store.get(PODS, name)
            if record and record.object["metadata"]["uid"] == uid:
                act(record)

        timer = asyncio.get_running_loop().call_later(delay, due)
        self._timers.add(timer)

    def _schedule(self, name: Name, uid: str) -> None:
        record = self.store.get(PODS, name)
        if record is None or record.object["metadata"]["uid"] != uid or "nodeName" in record.object["spec"]:
            return
        if not self.options.is_schedulable:
            why = {"reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}
            self.write_status(
                PODS, record, {"phase": "Pending", "conditions": [self._says("PodScheduled", False, **why)]}
            )
            return
        record = self.write(PODS, record, lambda body: body["spec"].update(nodeName=NODE))
        self.write_status(PODS, record, {"phase": "Pending", "conditions": [self._says("PodScheduled", True)]})
        self._later(self.options.starts_after, name, uid, self._start)

    def _start(self, record: Record) -> None:
        if self.options.crashes:
            self._crash(record)
            return
        if "deletionTimestamp" not in record.object["metadata"]:
            self._tell(record, is_ready=True, state={"running": {"startedAt": self.writer.now()}})

    def _crash(self, record: Record) -> None:
        self._tell(record, is_ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}}, crashed=1)

    def _tell(self, record: Record, *, is_ready: bool, state: Object, crashed: int = 0) -> None:
        body = record.object
        before = {it["name"]: it["restartCount"] for it in body.get("status", {}).get("containerStatuses", ())}
        names = [it["name"] for it in body["spec"]["containers"]]
        status = {
            "phase": "Running",
            "conditions": [
                self._says("PodScheduled", True),
                *(self._says(kind, is_ready) for kind in ("ContainersReady", "Ready")),
            ],
            "containerStatuses": [
                {"name": it, "ready": is_ready, "restartCount": before.get(it, 0) + crashed, "state": state}
                for it in names
            ],
        }
        self.write_status(PODS, record, status)

    def _says(self, kind: str, status: bool, **why: str) -> Object:
        return {"type": kind, "status": str(status), "lastTransitionTime": self.writer.now(), **why}

    def _end(self, record: Record) -> None:
        metadata = record.object["metadata"]
        delete(self.writer, self.resource(PODS), (metadata["namespace"], metadata["name"]), Deletion(grace=0))
