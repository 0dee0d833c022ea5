"""A worker's log as a machine reads it: every line an object, and in each line of a job which job it is of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.redis import RedisServer
from tests.support.traces import JOB, NUMBER
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, started

from crewcall_worker import wire

CREWCALL_WORKER = str(Path(sys.executable).parent / "crewcall-worker")
MODULE = "tests.support.traced_jobs"
KEYS = wire.Keys()


def test_every_line_is_an_object_and_those_of_a_job_say_which(redis_server: RedisServer, tmp_path: Path) -> None:
    environment = {wire.ENV_REDIS_URL: redis_server.url, wire.ENV_LOG_FORMAT: "json"}
    subprocess.run(
        [sys.executable, "-m", MODULE], cwd=ROOT, env={"PATH": os.environ["PATH"], **environment}, check=True
    )
    with started([CREWCALL_WORKER, "run", MODULE], environment, tmp_path / "log") as running:
        wait_until(lambda: running.says(" done in "), "the job to be done")
        running.terminate()
        assert running.exit_status() == 0

    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    of_the_job = [line for line in lines if "job" in line]
    (id_,) = {line["job_id"] for line in of_the_job}
    known = {"job": JOB, "job_id": id_, "queue": "sms", "organization": "acme"}
    assert [line["attempt"] for line in of_the_job] == sorted(line["attempt"] for line in of_the_job)
    failed = next(line for line in of_the_job if "ConnectionError" in line["message"])
    assert (failed["level"], of(failed, known)) == ("WARNING", {**known, "attempt": 1})
    retried = next(line for line in lines if "is tried again in" in line["message"])
    assert (retried["outcome"], of(retried, known)) == ("retried", {**known, "attempt": 1})
    own = next(line for line in lines if line["logger"] == "shop.sms")
    assert own == {
        "time": own["time"],
        "level": "INFO",
        "logger": "shop.sms",
        "message": "The provider has it",
        "provider": "test",
        **known,
        "attempt": 2,
    }
    done = of_the_job[-1]
    assert done["message"].startswith(f"{JOB}({id_}) done in ")
    assert (done["outcome"], of(done, known)) == ("done", {**known, "attempt": 2})
    assert NUMBER not in "".join(json.dumps(line) for line in lines if "exc_info" not in line)


def of(line: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """What a line says of its attempt."""
    return {name: line[name] for name in (*known, "attempt")}


def test_a_form_that_is_none_ends_with_status_2_and_one_line(tmp_path: Path) -> None:
    variables = {wire.ENV_REDIS_URL: "redis://127.0.0.1:1/0", wire.ENV_LOG_FORMAT: "xml"}
    with started([CREWCALL_WORKER, "run", MODULE], variables, tmp_path / "log") as running:
        assert running.exit_status() == 2

    assert running.log.read_text() == "crewcall-worker: CREWCALL_LOG_FORMAT is 'xml'; write text or json\n"
