"""Snapshots: what each rule saw last, and the changes it saw.

A snapshot and the change that led to it are written in one transaction, and a change waits for its alert's id: a worker
that dies between the two leaves an alert to be raised, never one that is forgotten.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Table, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from crewcall_jobs.errors import Overtaken
from crewcall_jobs.rules.snapshot import Change, Snapshot
from crewcall_jobs.storage.database import Database
from crewcall_jobs.storage.tables import changes, snapshots


class Snapshots:
    """The tables of them. Everything raises `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, organization_id: str, rule_id: str) -> Snapshot | None:
        with self._database.begin() as connection:
            row = (
                connection.execute(select(snapshots).where(_of(snapshots, organization_id, rule_id))).mappings().first()
            )
        return None if row is None else Snapshot(**{**row, "found": tuple(row["found"])})

    def store(self, now: Snapshot, before: Snapshot | None, change: Change | None) -> None:
        """Put it in the place of `before`. Raises `Overtaken` where that is not there any more."""
        row = _row(snapshots, now)
        with self._database.begin() as connection:
            if before is None:
                try:
                    connection.execute(insert(snapshots).values(row))
                except IntegrityError as error:
                    raise Overtaken(f"rule {now.rule_id}: another run was first") from error
            else:
                of_before = and_(
                    _of(snapshots, now.organization_id, now.rule_id), snapshots.c.version == before.version
                )
                if connection.execute(update(snapshots).where(of_before).values(row)).rowcount == 0:
                    raise Overtaken(f"rule {now.rule_id}: another run was first")
            if change is not None:
                connection.execute(insert(changes).values(_row(changes, change)))

    def look_again(self, snapshot: Snapshot, at: datetime) -> None:
        """Note that what was found was found again."""
        self.store(replace(snapshot, checked_at=at), snapshot, None)

    def without_alert(self, organization_id: str, rule_id: str) -> list[Change]:
        """The changes of a rule whose alert is still to be raised, the first one first."""
        wanted = and_(_of(changes, organization_id, rule_id), changes.c.alert_id == "")
        with self._database.begin() as connection:
            rows = connection.execute(select(changes).where(wanted).order_by(changes.c.version)).mappings().all()
        return [Change(**{**row, "before": tuple(row["before"]), "after": tuple(row["after"])}) for row in rows]

    def raised(self, change: Change, alert_id: str) -> None:
        """Note which alert was raised for it."""
        this = and_(_of(changes, change.organization_id, change.rule_id), changes.c.version == change.version)
        with self._database.begin() as connection:
            connection.execute(update(changes).where(this).values(alert_id=alert_id))

    def forget(self, before: datetime) -> int:
        """Delete changes, and snapshots of rules that have not run, from before; how many."""
        with self._database.begin() as connection:
            gone = connection.execute(delete(changes).where(changes.c.at < before)).rowcount
            return gone + connection.execute(delete(snapshots).where(snapshots.c.checked_at < before)).rowcount


def _of(table: Table, organization_id: str, rule_id: str) -> ColumnElement[bool]:
    return and_(table.c.organization_id == organization_id, table.c.rule_id == rule_id)


def _row(table: Table, value: Snapshot | Change) -> dict[str, object]:
    named = {column.name: getattr(value, column.name) for column in table.columns}
    return {name: list(item) if isinstance(item, tuple) else item for name, item in named.items()}
