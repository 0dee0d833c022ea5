"""A real PostgreSQL for tests: one that is installed, started with data of its own, on a socket in a folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.support.waiting import wait_until

START_WITHIN = 60.0


def _programs() -> Path | None:
    """Where initdb and postgres are: on the PATH, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a server that ends with the context. Skips the test where none is installed."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL on the PATH or in /usr/lib/postgresql (Debian: apt-get install postgresql)")
    data = folder / "data"
    user = _user(folder)
    _run(user, str(programs / "initdb"), "--pgdata", str(data), "--username=crewcall", "--auth=trust", "--no-sync")
    arguments = [str(programs / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses=", "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(arguments, stdout=log, stderr=log, user=user, cwd=folder)
    try:
        url = f"postgresql://crewcall@/postgres?host={folder}"
        wait_until(lambda: _answers(url), f"PostgreSQL to answer; see {folder}/log", START_WITHIN)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # which, other than SIGTERM, does not wait for those still connected
        server.wait(START_WITHIN)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _user(folder: Path) -> str | None:
    """It does not run as root; then it is somebody else's, who can reach the folder."""
    if os.getuid() != 0:
        return None
    name = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
    shutil.chown(folder, name)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return name


def _run(user: str | None, *command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, user=user, cwd="/", timeout=START_WITHIN)
