"""A real Prometheus for tests: it scrapes what a test serves, evaluates the chart's rules and answers queries.

It listens on a free port of 127.0.0.1, lives in a folder of the test's own, and is ended by its process id.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.support.chart import CHART
from tests.support.ports import free_port
from tests.support.waiting import wait_until

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"

#: Between two scrapes, and two evaluations.
EVERY = "500ms"

#: Seconds for a Prometheus to be ready, on a busy machine.
START = 60.0


def alert_rules() -> list[dict[str, Any]]:
    """Every alert of the chart, as it is written."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    """Every query of the dashboard, with a value for each of Grafana's variables."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    values = {"$namespace": ".*", "$pool": ".*", "$__rate_interval": "1m"}
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for name, value in values.items():
        queries = [query.replace(name, value) for query in queries]
    return queries


def named_metrics(expression: str) -> set[str]:
    """Our families that an expression names; a histogram's parts go by its own name."""
    names = re.findall(r"\b(crewcall_[a-z_]+)\b", expression)
    return {re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name in names}


def impatient(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The same rules in a hurry: what takes minutes takes three seconds, so that a test can wait for it.

    Not less: on a busy machine a scrape or two may come to nothing, which is no fault.
    """
    groups = [
        {**group, "interval": EVERY, "rules": [_hurried(rule) for rule in group["rules"]]} for group in rules["groups"]
    ]
    return {"groups": groups}


def _hurried(rule: Mapping[str, Any]) -> dict[str, Any]:
    found = {**rule, "expr": re.sub(r"\[\d+[mh]\]", "[5s]", rule["expr"])}
    return {**found, "for": "3s"} if "for" in rule else found


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that answer an expression now. Raises AssertionError with Prometheus' words for a wrong one."""
        return list(self._get("query", query=expression)["result"])

    def fired(self, since: float | None = None) -> set[tuple[str, str]]:
        """Name and pool of every alert that fires or, `since` a Unix time, has fired, as Prometheus itself noted it.

        One that looks at what changed ends by itself, maybe before another begins.
        """
        firing = 'ALERTS{alertstate="firing"}'
        found = self.query(
            firing if since is None else f"last_over_time({firing}[{1 + int(1000 * (time.time() - since))}ms])"
        )
        return {(it["metric"]["alertname"], it["metric"].get("pool", "")) for it in found}

    def broken_rules(self) -> list[str]:
        """The rules that could not be evaluated, and why."""
        groups = self._get("rules")["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if "lastError" in rule
        ]

    def _get(self, what: str, **query: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  loopback
                found: dict[str, Any] = json.load(answer)["data"]
                return found
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query or what}: {error.read().decode()}") from error


@contextmanager
def prometheus(program: Path, folder: Path, targets: Mapping[str, Sequence[str]]) -> Iterator[Prometheus]:
    """Scrapes `targets` (addresses by job) every half second, and evaluates the chart's alerts in a hurry."""
    port = free_port()
    rules = folder / "alerts.yaml"
    rules.write_text(yaml.safe_dump(impatient(yaml.safe_load(ALERTS.read_text(encoding="utf-8")))))
    config = folder / "prometheus.yaml"
    jobs = [
        # The pools' own `namespace` counts, as the ServiceMonitor and the README's scrape job have it.
        {"job_name": job, "honor_labels": True, "static_configs": [_static(job, addresses)]}
        for job, addresses in targets.items()
    ]
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
                "rule_files": [str(rules)],
                "scrape_configs": jobs,
            }
        )
    )
    command = [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or _is_ready(url), f"Prometheus (see {folder})", START)
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            yield Prometheus(url)
        finally:
            process.terminate()
            process.wait()


def _static(job: str, addresses: Sequence[str]) -> dict[str, Any]:
    """The PodMonitor gives a worker its pool's name."""
    labels = {"pool": "notifications"} if job == "workers" else {}
    return {"targets": list(addresses), "labels": labels}


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:  # noqa: S310  loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
