"""The same jobs as a project without Crewcall would have them: with its own broker, for the `dramatiq` command."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from crewcall_worker import wire

dramatiq.set_broker(RedisBroker(url=os.environ[wire.ENV_REDIS_URL]))

import tests.support.jobs  # noqa: E402, F401 - its actors join the broker that is set by now
