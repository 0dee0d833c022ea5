"""Deliveries: what was sent by which job on which channel, so that no later try sends it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from crewcall_jobs.storage.database import Database
from crewcall_jobs.storage.tables import deliveries


class Status(StrEnum):
    """SENDING: a try has begun, and nobody has noted its end. DELIVERED: taken by who was to have it, or by the
    provider. FAILED: not yet. REFUSED: never."""

    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One channel of one job. `kind` is sms, email or webhook; `reference` is what the other side calls it."""

    job_id: str
    channel: int
    organization_id: str
    kind: str
    status: Status
    tries: int
    reference: str
    error: str
    at: datetime


class Deliveries:
    """The table of them. Everything raises `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, job_id: str) -> dict[int, Delivery]:
        """Those of a job so far, by channel."""
        with self._database.begin() as connection:
            rows = connection.execute(select(deliveries).where(deliveries.c.job_id == job_id)).mappings().all()
        return {row["channel"]: Delivery(**{**row, "status": Status(row["status"])}) for row in rows}

    def note(self, delivery: Delivery) -> None:
        """Write it down, in the place of what was written of this channel before."""
        row = {column.name: getattr(delivery, column.name) for column in deliveries.columns}
        change = update(deliveries).where(
            deliveries.c.job_id == delivery.job_id, deliveries.c.channel == delivery.channel
        )
        with self._database.begin() as connection:
            if connection.execute(change.values(row)).rowcount == 0:
                try:
                    with connection.begin_nested():
                        connection.execute(insert(deliveries).values(row))
                except IntegrityError:  # the same job runs twice at this moment
                    connection.execute(change.values(row))

    def forget(self, before: datetime) -> int:
        """Delete those whose last try was earlier; how many."""
        with self._database.begin() as connection:
            return connection.execute(delete(deliveries).where(deliveries.c.at < before)).rowcount
