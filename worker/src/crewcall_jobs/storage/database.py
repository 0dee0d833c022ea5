"""One database of the worker: opened, its tables made, and its failures told in our words.

Tables are made where they are missing, under a lock, so that any number of workers may start at once. A row holds their
version; steps from one to the next are SQL in `STEPS` (see ADR 43 for why there is no Alembic).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crewcall_jobs.errors import JobFailed
from crewcall_jobs.settings import ENV_DATABASE_URL
from crewcall_jobs.storage import tables
from crewcall_worker.errors import BadSetting

CONNECT_TIMEOUT: Final = 5  # seconds
LOCK_TIMEOUT: Final = 10  # seconds
STATEMENT_TIMEOUT: Final = 15  # seconds, of PostgreSQL: waiting for a lock, and for what is lost on the way
LOCK: Final = 0x63726577  # any number, as long as it is the same for all
STEPS: Final[dict[int, tuple[str, ...]]] = {}
"""What leads to a version from the one before: statements that SQLite and PostgreSQL both know."""


class StorageUnavailable(JobFailed):
    """The database is not there, does not answer in time, or does not take what it is given."""


class Database:
    """An open database. `where` is for people: no password. `is_file`: a file of this machine, and nobody else's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # What follows the ? may be a password too, as libpq has it.
        self.where = engine.url.set(query={}).render_as_string(hide_password=True)
        self.is_file = engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction, written at its end. Raises `StorageUnavailable`."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise StorageUnavailable(f"database {self.where}: {_first_line(error)}") from error

    def close(self) -> None:
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open it and see to its tables. Raises `BadSetting`, `StorageUnavailable`."""
    database = Database(_engine(url))
    try:
        with database.begin() as connection:
            _lock(connection)
            _prepare(connection, database.where)
    except BaseException:
        database.close()
        raise
    return database


def check(url: str) -> None:
    """Whether it could be a database of ours; nobody is asked. Raises `BadSetting`."""
    _engine(url).dispose()


def _engine(url: str) -> Engine:
    try:
        target = make_url(url)
        if target.drivername in ("postgres", "postgresql"):
            target = target.set(drivername="postgresql+psycopg")
        if target.get_backend_name() == "sqlite":
            return _sqlite(target)
        return _postgresql(target)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        why = f" ({error})" if isinstance(error, ModuleNotFoundError) else ""
        # Not `from error`, nor in its words: they may have a part of the password.
        raise BadSetting(
            ENV_DATABASE_URL,
            "(an address)",
            f"write sqlite:///file.db, or, with crewcall[postgres], postgresql://user:password@host/name{why}",
        ) from None


def _postgresql(target: URL) -> Engine:
    engine = create_engine(
        target,
        hide_parameters=True,  # an error's text goes into logs
        pool_pre_ping=True,
        pool_timeout=LOCK_TIMEOUT,
        connect_args={"connect_timeout": CONNECT_TIMEOUT, "tcp_user_timeout": STATEMENT_TIMEOUT * 1000},
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Not an option of the connection: PgBouncer refuses those.
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}s'")

    return engine


def _sqlite(target: URL) -> Engine:
    engine = create_engine(target, hide_parameters=True, connect_args={"timeout": LOCK_TIMEOUT})

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, and not by Python's driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins by reading cannot always wait its turn to write: it fails at once instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _first_line(error: SQLAlchemyError) -> str:
    """What the driver says, without the statement, and without what PostgreSQL tells in further lines of the data."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).partition("\n")[0][:200]


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's transaction has locked all of it
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _prepare(connection: Connection, where: str) -> None:
    is_new = not inspect(connection).has_table(tables.schema.name)
    if is_new:
        tables.metadata.create_all(connection)
        connection.execute(insert(tables.schema).values(version=tables.VERSION))
        return
    version = connection.execute(select(tables.schema.c.version)).scalar_one()
    if version > tables.VERSION:
        raise BadSetting(
            ENV_DATABASE_URL,
            where,
            f"its tables are of version {version}, made by a newer Crewcall; this one knows up to {tables.VERSION}",
        )
    for step in range(version + 1, tables.VERSION + 1):
        for statement in STEPS[step]:
            connection.execute(text(statement))
    if version < tables.VERSION:
        connection.execute(update(tables.schema).values(version=tables.VERSION))
