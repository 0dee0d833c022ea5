"""A job that leaves traces of every run, whatever happens to Redis meanwhile, and tells of one that runs twice."""

from __future__ import annotations

import os
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from crewcall_worker import wire

QUEUES = ("sms", "email")
RUNNING, DONE, OVERLAPS = "chaos:running", "chaos:done", "chaos:overlaps"
"""Hash: job -> worker that runs it; hash: job -> how often it was done; list of "job earlier later"."""
BEGIN = """
local earlier = redis.call("HGET", KEYS[1], ARGV[1])
if earlier and earlier ~= ARGV[2] then
    redis.call("RPUSH", KEYS[2], ARGV[1] .. " " .. earlier .. " " .. ARGV[2])
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
"""
END = """
redis.call("HINCRBY", KEYS[2], ARGV[1], 1)
if redis.call("HGET", KEYS[1], ARGV[1]) == ARGV[2] then
    redis.call("HDEL", KEYS[1], ARGV[1])
end
"""
client = redis.Redis.from_url(os.environ.get(wire.ENV_REDIS_URL, "redis://"), retry=Retry(NoBackoff(), 0))


def work(job: int, seconds: float) -> None:
    """Take so long; the traces wait for Redis, for a run that fails would be retried."""
    broker = dramatiq.get_broker()
    worker = broker.broker_id if isinstance(broker, RedisBroker) else ""
    leave_trace(BEGIN, [RUNNING, OVERLAPS], job, worker)
    time.sleep(seconds)
    leave_trace(END, [RUNNING, DONE], job, worker)


def leave_trace(script: str, keys: list[str], job: int, worker: str) -> None:
    while True:
        try:
            client.eval(script, len(keys), *keys, job, worker)
        except redis.RedisError:
            time.sleep(0.05)
        else:
            return


for queue in QUEUES:
    dramatiq.actor(actor_name=f"work_{queue}", queue_name=queue)(work)
