"""What came of each benchmark's last run: benchmarks/results.json, an entry each, so that one may be run alone."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.catalogue import Figures
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results.json")

#: What a run writes itself: changes in there say nothing of the code that was measured.
WRITTEN = (
    "benchmarks/results.json",
    "benchmarks/quality.json",
    "docs/benchmarks.md",
    "docs/autoscalers.md",
    "docs/images",
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where something was measured, and on which code; `load` is the machine's before it, as a number of processes."""

    commit: str
    machine: str
    load: float


@dataclass(frozen=True, slots=True)
class Result:
    """One run: what it printed, how it ended, and when it began (UTC).

    `stolen` is the share of the machine's time that other virtual machines took meanwhile; None where it is not known.
    """

    figures: Figures
    status: int
    took_s: float
    began: str
    surroundings: Surroundings
    stolen: float | None = None


def read() -> dict[str, Result]:
    """By the benchmark's name."""
    entries = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return {
        name: Result(**{**entry, "surroundings": Surroundings(**entry["surroundings"])})
        for name, entry in entries.items()
    }


def write(results: Mapping[str, Result]) -> None:
    entries = {name: asdict(result) for name, result in sorted(results.items())}
    RESULTS.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"


def look_around() -> Surroundings:
    """Where and on what a benchmark would run now."""
    return Surroundings(_commit(), _machine(), round(os.getloadavg()[0], 1))


def last_figures(output: str) -> Figures:
    """The figures in a benchmark's last line; none where that is not an object in JSON."""
    try:
        figures = json.loads(output.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        return {}
    return figures if isinstance(figures, dict) else {}


def _commit() -> str:
    """With a word where files beside those that runs write are not as they were committed."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", *(f":!{path}" for path in WRITTEN))
    return f"{commit} with changes" if changed else commit or "unknown"


def _git(*arguments: str) -> str:
    """Nothing where this is no clone."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip()


def _machine() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    with EmbeddedRedis() as server:
        redis = server.describe().removeprefix("embedded ")
    return (
        f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, {redis}"
    )
