"""Run a delayed job now: a retry that somebody has no time to wait for, or a tick of a schedule ahead of its time.

It goes behind what waits in its queue, in one step, so that no crash loses or doubles it; a worker that has it in its
memory finds that it is gone. A rate limit of its job type counts all the same. A tick's schedule goes on as it was.

Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

from dataclasses import replace

from dramatiq.errors import DecodeError

from crewcall_worker import job_message, outbox, wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.options import HURRY, REDIS_ID


class DelayedJobs:
    """Those of one broker's namespace."""

    def __init__(self, broker: CrewcallBroker) -> None:
        self._broker = broker
        self._keys = wire.Keys(broker.namespace)

    def run_now(self, queue: str, message_id: str) -> bool:
        """Have it run as soon as a worker is free; false where it is not delayed any more.

        `message_id` is its id in Redis. Raises `ValueError` where it is no message that could be run.
        """
        text = self._broker.client.hget(self._keys.messages(queue + wire.DELAYED), message_id)
        if text is None:
            return False
        try:
            message = job_message.decode(text if isinstance(text, bytes) else str(text).encode())
        except DecodeError as error:
            raise ValueError(f"job {message_id} of queue {queue} cannot be read, and so not be run") from error
        options = {name: value for name, value in message.options.items() if name not in ("eta", REDIS_ID)}
        hurried = replace(message, queue_name=queue, options={**options, HURRY: message_id})
        (outcome,) = self._broker.outbox.enqueue_many([(hurried, None)])
        return isinstance(outcome, outbox.Enqueued)
