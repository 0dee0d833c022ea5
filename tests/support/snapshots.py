"""Everything that a Redis holds, as a value: to compare what is there with what was there before."""

from __future__ import annotations

from typing import Any

import redis

_LEFT_OUT = (
    "crewcall:dramatiq:stats:",
    "crewcall:dramatiq:organization",
    "crewcall:dramatiq:sent:",
    "dramatiq:__heartbeats__",
)
"""Counters since ever, in which nothing is undone; who was there; what was sent, which is forgotten in seconds."""


def snapshot(client: redis.Redis) -> dict[str, Any]:
    """Each key and what it holds, but for those that are left out. `client` answers in text."""
    readers: dict[str, Any] = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    keys = [key for key in sorted(str(key) for key in client.scan_iter()) if not key.startswith(_LEFT_OUT)]
    return {key: readers[str(client.type(key))](key) for key in keys}
