"""What requests to the API may ask for: paths, questions and bodies, each within bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from crewcall_worker import wire
from crewcall_worker.board.actions import MOST_REPLICAS
from crewcall_worker.queues.views import MOST_ON_A_PAGE, JobState

LONGEST_NAME = 200
LONGEST_CURSOR = 400
NO_NAMESPACE = "-"

QueueName = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, description="A queue's plain name.")]
JobId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_NAME, description="A job's id; of plain jobs that in Redis as well.")
]
WorkerId = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME)]
Word = Annotated[str | None, Query(max_length=LONGEST_NAME)]
Cursor = Annotated[str | None, Query(max_length=LONGEST_CURSOR, description="What the page before this one has told.")]
Limit = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)]


def pool_of(
    namespace: Annotated[
        str,
        Path(
            min_length=1,
            max_length=LONGEST_NAME,
            description=f'"default" for a pool of `crewcall local`; "{NO_NAMESPACE}" for one without any.',
        ),
    ],
    name: Annotated[str, Path(min_length=1, max_length=LONGEST_NAME)],
) -> str:
    """What the pool is called in keys."""
    return wire.pool_name("" if namespace == NO_NAMESPACE else namespace, name)


PoolName = Annotated[str, Depends(pool_of)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PauseRequest(_Body):
    """Why a queue is paused, for whoever wonders."""

    reason: str = Field("", max_length=LONGEST_NAME)


class RetryRequest(_Body):
    """What the dead letters are to be like; null for whatever. `error` is a part of the error, or of why it died."""

    job: str | None = Field(None, max_length=LONGEST_NAME)
    organization_id: str | None = Field(None, max_length=LONGEST_NAME)
    error: str | None = Field(None, max_length=LONGEST_NAME)
    cursor: str | None = Field(None, max_length=LONGEST_CURSOR)


class PurgeRequest(_Body):
    """Which jobs are to go for good."""

    state: Literal[JobState.READY, JobState.DELAYED, JobState.COMPLETED, JobState.DEAD]
    cursor: str | None = Field(None, max_length=LONGEST_CURSOR)


class PinRequest(_Body):
    """At how many replicas a pool is to be held."""

    replicas: int = Field(ge=0, le=MOST_REPLICAS, strict=True)
