"""The jobs' tables, in SQLite and, where there is one, in PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.support.job_types import NOW
from tests.support.postgres import postgres
from tests.support.waiting import DEADLINE

from crewcall_jobs.rules.extraction import extract
from crewcall_jobs.rules.payload import JsonExtract
from crewcall_jobs.rules.snapshot import Change, Snapshot
from crewcall_jobs.storage.database import Database, StorageUnavailable, open_database
from crewcall_jobs.storage.deliveries import Deliveries, Delivery, Status
from crewcall_jobs.storage.housekeeping import Housekeeping
from crewcall_jobs.storage.snapshots import Snapshots
from crewcall_worker.errors import BadSetting

DELIVERY = Delivery("job-1", 0, "acme", "sms", Status.FAILED, 1, "", "503", NOW)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
SNAPSHOT = Snapshot("acme", "r1", 1, "d", ("10 €", "x"), '"e"', "Sun", NOW, NOW)


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    server: str = request.getfixturevalue("postgres_url")
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def test_a_delivery_is_read_as_it_was_noted_and_noted_anew_in_its_place(database: Database) -> None:
    book = Deliveries(database)
    later = replace(DELIVERY, status=Status.DELIVERED, tries=2, reference="m-1", error="")
    other = replace(DELIVERY, channel=1, kind="webhook")

    for delivery in (DELIVERY, other, later, replace(DELIVERY, job_id="job-2")):
        book.note(delivery)

    assert book.of("job-1") == {0: later, 1: other}


def test_times_are_kept_in_utc_whatever_zone_they_came_in(database: Database) -> None:
    book = Deliveries(database)
    there = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    book.note(replace(DELIVERY, at=there))

    found = book.of("job-1")[0].at
    assert (found, found.utcoffset()) == (NOW, timedelta(0))


def test_a_snapshot_and_its_change_are_written_together(database: Database) -> None:
    store = Snapshots(database)
    second = replace(SNAPSHOT, version=2, found=("12 €",), checked_at=NOW + timedelta(hours=1))
    change = Change("acme", "r1", 2, SNAPSHOT.found, second.found, NOW)
    store.store(SNAPSHOT, None, None)

    store.store(second, SNAPSHOT, change)

    assert (store.find("acme", "r1"), store.find("other", "r1")) == (second, None)
    assert store.without_alert("acme", "r1") == [change]
    store.raised(change, "alert-1")
    assert store.without_alert("acme", "r1") == []


def test_whatever_a_page_holds_can_be_stored(database: Database) -> None:
    body = b'{"t": ["nul \\u0000", "half \\ud800", "\\ud83d\\ude00", "\\u0007 \\"quotes\\" %s ?"]}'
    found = extract(JsonExtract(path="$.t[*]"), body, None)

    Snapshots(database).store(replace(SNAPSHOT, found=found), None, None)

    stored = Snapshots(database).find("acme", "r1")
    assert stored is not None
    assert stored.found == ("nul ", "half ?", "😀", '\x07 "quotes" %s ?')


def test_old_records_go_and_young_ones_stay(database: Database) -> None:
    book, store = Deliveries(database), Snapshots(database)
    book.note(DELIVERY)
    book.note(replace(DELIVERY, job_id="young", at=NOW + timedelta(days=2)))
    store.store(SNAPSHOT, None, Change("acme", "r1", 1, (), ("x",), NOW))
    keeper = Housekeeping((book.forget, store.forget), keep_days=30)

    keeper.see_to_it(NOW + timedelta(days=31))
    keeper.see_to_it(NOW + timedelta(days=31, minutes=59))

    assert (book.of("job-1"), set(book.of("young")), store.find("acme", "r1")) == ({}, {0}, None)
    assert store.without_alert("acme", "r1") == []


def test_housekeeping_comes_once_an_hour_and_fails_no_job() -> None:
    asked: list[datetime] = []

    def forget(before: datetime) -> int:
        asked.append(before)
        raise StorageUnavailable("away")

    keeper = Housekeeping((forget,), keep_days=1)
    for minutes in (0, 30, 59, 60, 61):
        keeper.see_to_it(NOW + timedelta(minutes=minutes))

    assert asked == [NOW - timedelta(days=1), NOW - timedelta(days=1) + timedelta(hours=1)]


def test_any_number_of_workers_may_start_at_once(url: str) -> None:
    opened: list[Database] = []

    def open_it() -> None:
        opened.append(open_database(url))

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    for database in opened:
        database.close()
    assert len(opened) == 6


def test_threads_write_at_once_and_lose_nothing(database: Database) -> None:
    book = Deliveries(database)

    def write(worker: int) -> None:
        for number in range(20):
            book.note(replace(DELIVERY, job_id=f"job-{number}", channel=worker))
            book.note(replace(DELIVERY, job_id=f"job-{number}", channel=99))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert {number: set(book.of(f"job-{number}")) for number in range(20)} == {n: {0, 1, 2, 3, 99} for n in range(20)}


def test_what_was_written_is_there_after_a_restart(url: str) -> None:
    first = open_database(url)
    Deliveries(first).note(DELIVERY)
    first.close()

    second = open_database(url)
    assert Deliveries(second).of("job-1") == {0: DELIVERY}
    second.close()


def test_tables_of_a_newer_version_are_left_alone(url: str) -> None:
    database = open_database(url)
    with database.begin() as connection:
        connection.execute(text("UPDATE crewcall_schema SET version = 99"))
    database.close()

    with pytest.raises(
        BadSetting, match="its tables are of version 99, made by a newer Crewcall; this one knows up to 1"
    ):
        open_database(url)


@pytest.mark.parametrize("url", ["nonsense", "mysql+nothing://h/d", "://", "postgresql://u:p@h:abc/d"])
def test_what_is_no_database_is_told_without_its_password(url: str) -> None:
    with pytest.raises(BadSetting, match=r"^CREWCALL_DATABASE_URL is '\(an address\)'; write sqlite:///"):
        open_database(url)


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        open_database("postgres://crewcall:secret@127.0.0.1:1/jobs")

    assert str(caught.value).startswith("database postgresql+psycopg://crewcall:***@127.0.0.1:1/jobs: connection ")
    assert "secret" not in str(caught.value)


def test_a_password_behind_the_question_mark_is_told_neither() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        open_database("postgresql://127.0.0.1:1/jobs?user=crewcall&password=secret")

    assert str(caught.value).startswith("database postgresql+psycopg://127.0.0.1:1/jobs: connection ")
    assert "secret" not in str(caught.value)


@on_postgresql
def test_a_table_that_somebody_holds_is_waited_for_no_longer_than_a_statement_may_take(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewcall_jobs.storage.database.STATEMENT_TIMEOUT", 1)
    database, other = open_database(url), open_database(url)

    with other.begin() as connection:
        connection.execute(text("LOCK TABLE crewcall_deliveries IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StorageUnavailable, match="statement timeout"):
            Deliveries(database).of("job-1")

    database.close()
    other.close()


@on_postgresql
def test_a_database_that_takes_no_writes_is_told(database: Database) -> None:
    def write() -> None:
        with database.begin() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("DELETE FROM crewcall_deliveries"))

    with pytest.raises(StorageUnavailable, match="read-only transaction"):
        write()


@on_postgresql
def test_a_text_that_no_database_takes_is_told(database: Database) -> None:
    with pytest.raises(StorageUnavailable, match="NUL"):
        Deliveries(database).note(replace(DELIVERY, error="\x00"))


def test_a_folder_that_cannot_be_written_is_told() -> None:
    with pytest.raises(StorageUnavailable, match=r"^database sqlite:////proc/jobs\.db: unable to open database file$"):
        open_database("sqlite:////proc/jobs.db")


def test_a_locked_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewcall_jobs.storage.database.LOCK_TIMEOUT", 0.1)
    database = open_database(f"sqlite:///{tmp_path}/jobs.db")
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match=r": database is locked$"):
        Deliveries(database).note(DELIVERY)

    other.close()
    database.close()
