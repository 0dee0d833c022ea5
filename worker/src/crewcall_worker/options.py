"""What Crewcall writes into the options of a Dramatiq message that carries a typed job. They travel with every retry.

`ready_at`, which messages of all kinds have, is a part of the wire: see `wire.READY_AT`.
"""

from __future__ import annotations

from typing import Final

REDIS_ID: Final = "redis_message_id"
"""Dramatiq's own: by which a message of any kind is known in Redis. One that was sent twice has two of them."""

ORGANIZATION: Final = "organization_id"
"""Whose job it is. Such a message waits in a lane of its organisation, so that each has its turn."""

PRIORITY: Final = "priority"
"""A `Priority`'s number; the lower one is taken first. Absent: normal."""

DEDUPE_KEY: Final = "dedupe_key"
"""Another job of the same organisation and type with this key is not enqueued while the window lasts. Taken off once
the message is in its queue."""

DEDUPE_FOR_MS: Final = "dedupe_for_ms"
"""How long the window is, from the first enqueue."""

TRACE: Final = "trace"
"""The context of the trace that the job belongs to, as W3C's headers have it: {"traceparent": ...}. See `tracing`."""

RATE_KEY: Final = "rate_key"
"""The key of the job type's rate limit that this job counts for."""

DEATH: Final = "death"
"""Of a dead letter: why it is one, a `queues.failures.Death`."""

ERROR: Final = "error"
"""The last failure in one line: its type and its words. Beside it is Dramatiq's `traceback`."""

KILLED: Final = "crewcall_dead_reason"
"""Of a dead letter that too many workers died with: that in words. Written by `lua/recover.lua`."""

SCHEDULE: Final = "schedule"
"""The name of the schedule that this job is a tick of."""

START_UNTIL: Final = "start_until"
"""The ms until when the first try of a job is to begin; later it is left out. Taken off once it has begun."""

RATE_TURN: Final = "rate_turn"
"""How many turns a job was told by its rate limit, of which the last is its ETA. Taken off once it has begun."""

PROMOTION: Final = "crewcall_promotion"
"""Of a delayed message in a worker's memory: the worker and the id that it was fetched under. Never stored."""

REVIVAL: Final = "crewcall_revival"
"""Of a dead letter that is tried anew: its id in Redis. It leaves the dead letters in the same step. Never stored."""

HURRY: Final = "crewcall_hurry"
"""Of a delayed message that is to run now: its id in Redis. It leaves the delayed ones in that step. Never stored."""
