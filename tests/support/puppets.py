"""Workers without threads: a test moves each part of one by itself, and can make its connection fail.

All parts are the real ones: Crewcall's intake, outbox, presence and steward, and Dramatiq's own consumer threads and
work queue, only that nobody starts them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from queue import Empty, PriorityQueue
from typing import Any

import dramatiq
import redis
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Retries
from dramatiq.worker import ConsumerThread
from redis.backoff import NoBackoff
from redis.retry import Retry

from crewcall_worker import wire
from crewcall_worker.admission import Admission
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.delayed import DueMessages
from crewcall_worker.intake import Intake
from crewcall_worker.presence import Identity, Presence
from crewcall_worker.steward import Steward

QUEUES = ("sms", "email")
ALL_QUEUES = tuple(queue + suffix for queue in QUEUES for suffix in ("", wire.DELAYED))
POOL = "shop/pool"
PREFETCH = 3


class Fault(Enum):
    """What becomes of a command: it never arrives, or its answer does not."""

    LOST = "lost"
    UNANSWERED = "unanswered"


class FlakyConnection(redis.Connection):
    """A connection that fails as `faults` says, command by command, and then works again."""

    def __init__(self, *, faults: deque[Fault], **options: Any) -> None:
        self._faults = faults
        self._loses_answer = False
        super().__init__(**options)  # type: ignore[no-untyped-call] # as redis has it

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        parent: Any = super()
        fault = self._faults.popleft() if self._faults else None
        if fault is Fault.LOST:
            parent.disconnect()
            raise redis.ConnectionError("as the test wants it: the command was lost")
        parent.send_packed_command(command, check_health)
        self._loses_answer = fault is Fault.UNANSWERED

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        parent: Any = super()
        answer = parent.read_response(*arguments, **options)
        if self._loses_answer:
            self._loses_answer = False
            parent.disconnect()
            raise redis.ConnectionError("as the test wants it: the answer was lost")
        return answer


@dataclass(slots=True)
class Run:
    """A job that a puppet has begun. `is_forfeited`: the puppet was declared dead since, and others may begin it."""

    message: MessageProxy
    is_forfeited: bool = False

    @property
    def job(self) -> int:
        return int(self.message.args[0])


@dataclass(slots=True)
class Puppet:
    """One worker of two queues. `ids` are all that it ever had."""

    url: str
    pod: str
    started_ms: int
    faults: deque[Fault] = field(default_factory=deque)
    runs: list[Run] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    broker: CrewcallBroker = field(init=False)
    worker: dramatiq.Worker = field(init=False)
    intake: Intake = field(init=False)
    admission: Admission = field(init=False)
    steward: Steward = field(init=False)
    due: DueMessages = field(init=False)
    presence: Presence = field(init=False)

    def __post_init__(self) -> None:
        pool = redis.ConnectionPool.from_url(
            self.url, connection_class=FlakyConnection, faults=self.faults, retry=Retry(NoBackoff(), 1)
        )
        retries = Retries(max_retries=1_000, min_backoff=1, max_backoff=1)
        self.broker = CrewcallBroker(client=redis.Redis(connection_pool=pool), middleware=[retries])
        for queue in QUEUES:
            dramatiq.actor(broker=self.broker, actor_name=f"work_{queue}", queue_name=queue)(work)
        self.worker = dramatiq.Worker(self.broker, worker_threads=2)
        self.intake = Intake(self.broker, POOL)
        self.admission = Admission(self.intake)
        self.steward = Steward(self.intake, timeout=1.0)
        clock = self.broker.outbox.clock
        self.due = DueMessages(self.broker.outbox)
        identity = Identity(self.pod, self.started_ms, 2, QUEUES)
        self.presence = Presence(
            self.intake, identity, clock, lambda: self.steward.told, lambda event: self.steward.take(event, "beat")
        )
        self.intake.take_part()
        self.broker.outbox.take_part()
        self.intake.before_worker_boot(self.broker, self.worker)
        for queue in ALL_QUEUES:
            self.worker.consumers[queue] = self._thread(queue)
        self.intake.open()
        self.beat()

    def beat(self) -> None:
        """Tell of itself, and hear."""
        try:
            self.presence.beat()
        except redis.RedisError:
            return
        finally:
            if self.intake.worker_id not in self.ids:
                self.ids.append(self.intake.worker_id)

    def crank(self, queue: str) -> None:
        """The consumer's thread goes round once."""
        thread = self.worker.consumers[queue]
        consumer = self.intake.consumers[queue]
        consumer.wake()  # it shall not wait
        message = next(consumer)
        if message is not None:
            thread.handle_message(message)
        thread.handle_delayed_messages()

    def restart(self, queue: str) -> None:
        """The consumer's thread fails, and begins anew."""
        self.worker.consumers[queue].close()
        self.worker.consumers[queue] = self._thread(queue)

    def begin(self) -> Run | None:
        """A worker thread takes the next job; None where there is none, or it is not this worker's any more."""
        try:
            message = self.worker.work_queue.get_nowait().message
        except Empty:
            return None
        if not self.admission.may_begin(message):
            self.admission.drop(message)
            return None
        self.broker.emit_before("process_message", message)
        run = Run(message)
        self.runs.append(run)
        return run

    def finish(self, run: Run, *, is_done: bool) -> None:
        """A job ends, well or to be retried."""
        self.runs.remove(run)
        if is_done:
            self.broker.emit_after("process_message", run.message, result=None)
        else:
            self.broker.emit_after("process_message", run.message, exception=RuntimeError("as the test wants it"))
        self._settle(run.message)

    def die(self) -> None:
        """As by SIGKILL: nothing more is heard of it."""
        self.faults.clear()
        self.broker.client.close()
        self.broker.client.connection_pool.disconnect()

    def holds_only_what_it_runs(self, queue: str, acks: set[str]) -> bool:
        """Whether of these ids, noted as this worker's, each is one that runs."""
        running = {run.message.options["redis_message_id"] for run in self.runs if run.message.queue_name == queue}
        return acks <= running

    def _settle(self, message: MessageProxy) -> None:
        self.worker.consumers[message.queue_name].post_process_message(message)
        self.worker.work_queue.task_done()

    def _thread(self, queue: str) -> ConsumerThread:
        thread = ConsumerThread(
            broker=self.broker, queue_name=queue, prefetch=PREFETCH, work_queue=self.worker.work_queue, worker_timeout=1
        )
        thread.consumer = self.broker.consume(queue, PREFETCH, 1)
        thread.delay_queue = PriorityQueue()
        self.due.after_consumer_thread_boot(self.broker, thread)
        return thread


def work(job: int) -> None:
    """A job; the test says when it begins and ends."""
    del job
