"""The tables, as SQLAlchemy has them. Times are aware, in UTC; lists are JSON.

`deliveries`: one row for each channel that a job delivers to. `snapshots`: what a rule saw last. `changes`: each
change that it saw, and the id of the alert that was raised for it. No row names a person: what was sent, and to whom,
is in the job.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import JSON, Column, DateTime, Dialect, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

VERSION = 1
"""Of all that is below. What leads from one version to the next is in `database`."""


class Instant(TypeDecorator[datetime]):
    """A time in UTC, aware in Python; SQLite knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

schema = Table("crewcall_schema", metadata, Column("version", Integer, nullable=False))

deliveries = Table(
    "crewcall_deliveries",
    metadata,
    Column("job_id", String(255), primary_key=True),
    Column("channel", Integer, primary_key=True, autoincrement=False),
    Column("organization_id", String(100), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("reference", String(255), nullable=False),
    Column("error", Text, nullable=False),
    Column("at", Instant, nullable=False, index=True),
)

snapshots = Table(
    "crewcall_snapshots",
    metadata,
    Column("organization_id", String(100), primary_key=True),
    Column("rule_id", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("definition", String(64), nullable=False),
    Column("found", JSON, nullable=False),
    Column("etag", String(1000), nullable=False),
    Column("last_modified", String(1000), nullable=False),
    Column("checked_at", Instant, nullable=False, index=True),
    Column("changed_at", Instant, nullable=False),
)

changes = Table(
    "crewcall_changes",
    metadata,
    Column("organization_id", String(100), primary_key=True),
    Column("rule_id", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("at", Instant, nullable=False, index=True),
    Column("alert_id", String(255), nullable=False),
)
