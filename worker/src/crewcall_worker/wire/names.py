"""What pools, queues and jobs are called in Redis, and the message option that is Crewcall's own."""

from __future__ import annotations

import hashlib
from typing import Final

READY_AT: Final = "ready_at"
"""The message option: when the job became or becomes ready, in ms."""

DELAYED, DEAD = ".DQ", ".XQ"
"""What Dramatiq puts behind a queue's name for its delayed messages and its dead letters (dramatiq/common.py)."""

LONGEST_KEY: Final = 100
"""Characters; of a longer one Redis has a digest."""


def pool_name(namespace: str, name: str) -> str:
    """What a pool is called in keys: pools of different Kubernetes namespaces may share a Redis."""
    return f"{namespace}/{name}" if namespace else name


def plain_queue(queue: str) -> str:
    """The queue's name without .DQ or .XQ."""
    return queue.removesuffix(DELAYED).removesuffix(DEAD)


def short(key: str) -> str:
    """A key that somebody has chosen; of a long one its digest."""
    return key if len(key) <= LONGEST_KEY else "~" + hashlib.sha256(key.encode()).hexdigest()


def likeness(organization: str, job: str, key: str) -> str:
    """By what a job is told from its like: those of another organisation or type never are. The lengths keep one text
    from reaching into the next."""
    return f"{len(organization)}:{organization}:{len(job)}:{job}:{short(key)}"
