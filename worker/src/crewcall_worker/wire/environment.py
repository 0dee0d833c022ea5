"""The variables by which a worker process is told what it is.

The operator (in a pod template) and the local mode (for a process) set these; the worker reads them. A variable that
the user's own template sets is left as it is. How a Redis is named in them is in `redis_address`.
"""

from __future__ import annotations

from typing import Final

ENV_POOL: Final = "CREWCALL_POOL"
"""The WorkerPool's name."""

ENV_NAMESPACE: Final = "CREWCALL_NAMESPACE"
"""The WorkerPool's Kubernetes namespace. Not to be confused with `ENV_REDIS_NAMESPACE`."""

ENV_POD: Final = "CREWCALL_POD"
"""The name of the pod, or of the process in the local mode: which replica this worker is."""

ENV_REDIS_URL: Final = "REDIS_URL"
"""Where the queues live, in redis-py's notation: redis://, rediss:// or unix://."""

ENV_REDIS_NAMESPACE: Final = "CREWCALL_REDIS_NAMESPACE"
"""Dramatiq's key prefix in Redis (`RedisBroker(namespace=...)`)."""

ENV_QUEUES: Final = "CREWCALL_QUEUES"
"""The queues to consume, separated by commas."""

ENV_THREADS: Final = "CREWCALL_THREADS"
"""Jobs to run at once, a whole number. Absent where the pool does not tell: then the worker chooses."""

ENV_CONCURRENCY: Final = "CREWCALL_CONCURRENCY"
"""Jobs of one queue to run at once: sms=5,email=2. One that is not named has the limit of its job types, or none."""

ENV_LOG_FORMAT: Final = "CREWCALL_LOG_FORMAT"
"""text for people, or json for machines."""

ENV_SHUTDOWN_TIMEOUT: Final = "CREWCALL_SHUTDOWN_TIMEOUT"
"""Seconds that running jobs are given after SIGTERM, a decimal number; below the pod's grace period."""

ENV_LAPSED_AFTER: Final = "CREWCALL_LAPSED_AFTER"
"""Seconds of silence after which a worker is taken for dead, a decimal number; the same for all of a pool."""

ENV_MOST_KILLS: Final = "CREWCALL_MOST_KILLS"
"""How many workers a job may kill before it becomes a dead letter, a whole number."""

ENV_KEEP_COMPLETED: Final = "CREWCALL_KEEP_COMPLETED"
"""Seconds that Redis remembers a completed job, a decimal number."""

ENV_KEEP_COMPLETED_MOST: Final = "CREWCALL_KEEP_COMPLETED_MOST"
"""How many completed jobs of a queue Redis remembers at most, a whole number."""

ENV_KEEP_DEAD: Final = "CREWCALL_KEEP_DEAD"
"""Seconds that a dead letter is kept, a decimal number."""

ENV_LARGEST_PAYLOAD: Final = "CREWCALL_LARGEST_PAYLOAD"
"""Bytes of JSON that a typed job's payload may have, a whole number; for those who enqueue."""

ENV_METRICS_PORT: Final = "CREWCALL_METRICS_PORT"
"""Where the worker serves /metrics, /healthz and /readyz. Absent: nowhere."""
