"""The worker of each Compose file, without Docker: its module and its environment, but for where the others are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.compose import ROOT, environment_of, read
from tests.support.mail_servers import MailServer, mail_server
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import started

from crewcall_jobs.settings import Security
from crewcall_worker.redis_address import ENV_REDIS_PASSWORD

CREWCALL_WORKER = str(Path(sys.executable).parent / "crewcall-worker")
DIGESTS = 6


def variables(file: str, server: RedisServer, mail: MailServer, folder: Path) -> dict[str, str]:
    """What the file tells its worker, with this machine's servers in place of its neighbours."""
    project = read(file, {"REDIS_PASSWORD": "one", "POSTGRES_PASSWORD": "two"})
    told = environment_of(project["services"]["worker"])
    here = {
        "REDIS_URL": server.url,
        ENV_REDIS_PASSWORD: "",
        "CREWCALL_METRICS_PORT": "",
        "CREWCALL_DATABASE_URL": f"sqlite:///{folder / 'jobs.db'}",
        "CREWCALL_SMTP_HOST": "127.0.0.1",
        "CREWCALL_SMTP_PORT": str(mail.port),
        "CREWCALL_SMTP_SECURITY": "none",
        "CREWCALL_SMTP_FROM": "crewcall@example.com",
    }
    return told | here


@pytest.mark.parametrize("file", ["compose.yaml", "compose.prod.yaml"])
def test_digests_of_the_example_arrive_once_each_and_the_worker_goes_home(
    redis_server: RedisServer, tmp_path: Path, file: str
) -> None:
    with mail_server(tmp_path, Security.NONE, login=False) as mail:
        environment = variables(file, redis_server, mail, tmp_path)
        told = [enqueue(environment), enqueue(environment)]
        with started([CREWCALL_WORKER, "run", "crewcall_jobs.catalogue"], environment, tmp_path / "log") as running:
            wait_until(lambda: len(mail.mails) == DIGESTS, "the mails")
            running.terminate()
            assert running.exit_status() == 0

    assert told == [f"{DIGESTS} enqueued\n", f"{DIGESTS} duplicate\n"]
    assert sorted(mail.recipients) == [f"reader-{number}@example.com" for number in range(DIGESTS)]
    assert running.says("alerts (10 at once), email (2 at once), rules (5 at once), sms (5 at once)")
    assert "reader-" not in running.log.read_text()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "No Redis is configured: jobs are not enqueued. Set REDIS_URL, or REDIS_HOST"),
        (
            {"REDIS_URL": "redis://127.0.0.1:1/0"},
            "Redis 127.0.0.1:1/0 cannot be reached or does not answer: Error 111 connecting to 127.0.0.1:1. "
            "Connection refused. Check that it runs, and REDIS_URL.",
        ),
    ],
)
def test_the_example_says_in_one_line_which_redis_it_lacks(environment: dict[str, str], said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        enqueue(environment)

    assert (failed.value.returncode, failed.value.stdout, failed.value.stderr) == (1, "", f"{said}\n")


def enqueue(environment: dict[str, str]) -> str:
    """As scripts/compose-check does it: the example comes in by standard input."""
    with (ROOT / "examples" / "digests.py").open() as example:
        done = subprocess.run(
            [sys.executable, "-", str(DIGESTS), "before"],
            stdin=example,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    return done.stdout
