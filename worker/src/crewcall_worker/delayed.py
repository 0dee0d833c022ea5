"""Delayed messages in a worker's memory: those that are due get into their queue, many in one step.

In place of Dramatiq's own way (`ConsumerThread.handle_delayed_messages`), which judges by this process's clock, and
takes two round trips for each. Here they are due by Redis's clock, by which rate limits give their turns and schedules
their ticks. And of many that are due at once nobody's wait until all others have been moved: once they are in their
queue, its lanes take turns. How a message is promoted is for the `outbox`; when its thread looks, for the `consumer`.
"""

from __future__ import annotations

import logging
from queue import Empty, PriorityQueue
from typing import Any

from dramatiq import Broker
from dramatiq.broker import MessageProxy
from dramatiq.common import q_name
from dramatiq.middleware import Middleware
from dramatiq.worker import ConsumerThread

from crewcall_worker.outbox import MOST_AT_ONCE, Outbox

log = logging.getLogger(__name__)


class DueMessages(Middleware):
    """One worker's. Promotes what is due by `outbox`, in the threads of the consumers."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def after_consumer_thread_boot(self, broker: Broker, thread: ConsumerThread) -> None:
        vars(thread)["handle_delayed_messages"] = lambda: self.promote(broker, thread)

    def promote(self, broker: Broker, thread: ConsumerThread) -> None:
        """Promote all that are due by now. Waits for Redis, if it is away."""
        while due := self._take_due(thread.delay_queue):
            messages = [message.copy(queue_name=q_name(message.queue_name)) for message in due]
            for message in messages:
                del message.options["eta"]
            self._outbox.enqueue_many([(message, None) for message in messages])
            for held in due:
                broker.emit_before("ack", held)
                if thread.consumer is not None:
                    thread.consumer.drop(held)  # type: ignore[attr-defined]  # a QueueConsumer
                broker.emit_after("ack", held)
                thread.delay_queue.task_done()

    def _take_due(self, delayed: PriorityQueue[Any]) -> list[MessageProxy]:
        due: list[MessageProxy] = []
        if not delayed.queue:  # as after nearly every message; who puts one in is this thread
            return due
        now_ms = self._outbox.clock.known_ms()
        while now_ms is not None and len(due) < MOST_AT_ONCE:
            try:
                item = delayed.get_nowait()
            except Empty:
                break
            if item.priority > now_ms:
                delayed.put(item)
                delayed.task_done()
                break
            due.append(item.message)
        return due
