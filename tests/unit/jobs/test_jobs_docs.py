"""The pages on jobs say what is there: variables and their defaults, code that runs, log lines as they are."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.support.compose import ROOT

from crewcall_jobs import catalogue
from crewcall_jobs import settings as job_settings
from crewcall_worker import redis_address, settings
from crewcall_worker.attempt import Attempt
from crewcall_worker.queues import CATALOGUE, job
from crewcall_worker.wire import environment

PAGES = ROOT / "docs" / "jobs"
TABLE = PAGES / "environment.md"
REDIS = {"REDIS_HOST": "redis"}
"""What a worker needs at least, and what else goes with it."""


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def documented() -> dict[str, str]:
    """Each variable of the tables with its default, as it is written."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE))


def read_by(module: ModuleType) -> set[str]:
    return {value for name, value in vars(module).items() if name.startswith("ENV_") and isinstance(value, str)}


def test_the_tables_have_every_variable_that_is_read_and_no_other() -> None:
    assert set(documented()) == read_by(environment) | read_by(redis_address) | read_by(job_settings)


def told_defaults() -> list[tuple[str, str]]:
    return [(name, default.strip("`")) for name, default in documented().items() if default.startswith("`")]


@pytest.mark.parametrize(("name", "default"), told_defaults())
def test_a_default_that_is_told_is_what_an_unset_variable_means(name: str, default: str) -> None:
    mail = {"CREWCALL_SMTP_HOST": "mail", "CREWCALL_SMTP_FROM": "a@example.com"}
    sms = {"CREWCALL_SMS_KEY": "key", "CREWCALL_SMS_FROM": "+15551230000"}

    def read(variables: Mapping[str, str]) -> tuple[Any, Any]:
        return settings.from_environment({**REDIS, **variables}), job_settings.from_environment(
            {**mail, **sms, **variables}
        )

    assert read({name: default}) == read({})


def test_the_ports_of_mail_are_those_that_the_table_tells() -> None:
    assert documented()["CREWCALL_SMTP_PORT"] == "{}, {} or {}".format(*job_settings.SMTP_PORTS.values())


def test_the_arguments_of_a_job_type_are_all_in_the_guide() -> None:
    _, _, section = (PAGES / "add-a-job-type.md").read_text(encoding="utf-8").partition("## What else")
    parameters = [name for name in inspect.signature(job).parameters if name not in {"name", "queue"}]

    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(parameters)


def test_the_catalogue_has_the_jobs_queues_and_limits_that_its_page_tells() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(\w+)`, (\d+) \| `([\w.]+)` \|", (PAGES / "catalogue.md").read_text(), re.M)

    assert [(name, queue, int(limit), payload) for name, queue, limit, payload in rows] == [
        (
            kind.name,
            CATALOGUE[kind.name].queue,
            CATALOGUE[kind.name].concurrency,
            f"{kind.payload.__module__}.{kind.payload.__name__}",
        )
        for kind in (catalogue.send_sms, catalogue.send_digest, catalogue.run_rule, catalogue.dispatch_alert)
    ]


def test_the_first_example_runs_where_there_is_no_redis() -> None:
    (example,) = blocks("README.md", "python")

    done = run(example + "print(queues.enabled)")

    assert done == "False\n"


@pytest.mark.parametrize("example", blocks("catalogue.md", "python"))
def test_the_catalogues_examples_run(example: str) -> None:
    *before, call = example.splitlines()
    program = [
        "from crewcall_worker.queues import QueueService",
        "queues = QueueService.from_environment()",
        *before,
        f"print({call}.outcome)",
    ]

    assert run("\n".join(program)) == "disabled\n"


def test_the_log_line_that_is_shown_has_the_fields_of_an_attempt() -> None:
    (line,) = [json.loads(text) for text in blocks("production.md", "json")]

    attempt = {name for name in Attempt.__dataclass_fields__ if name != "span_id"}
    assert set(line) == {"time", "level", "logger", "message", "outcome", "seconds"} | attempt


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.name)
def test_every_name_that_a_page_imports_is_there(page: Path) -> None:
    for block in blocks(page.name, "python"):
        run("\n".join(line for line in block.splitlines() if line.startswith("from crewcall")))


def run(program: str) -> str:
    """What a program prints, in a process without a Redis. A failure of it is one of the test."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout
