"""The contract between the operator and the workers: what either side writes and the other reads.

Standard library only, and no I/O: the operator imports this module and nothing else of the worker.

Environment of a worker process
-------------------------------
The operator (in a pod template) and the local mode (for a process) set these; the worker reads them. A variable
that the user's own template sets is left as it is.
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

ENV_SHUTDOWN_TIMEOUT: Final = "CREWCALL_SHUTDOWN_TIMEOUT"
"""Seconds that running jobs are given after SIGTERM, a decimal number; below the pod's grace period."""
