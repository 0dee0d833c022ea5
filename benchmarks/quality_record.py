"""What `benchmarks.quality --record` keeps for docs/autoscalers.md: every score, the hold-out too, and the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.holdout import Held
from crewcall_operator.core.policy import Policy
from crewcall_operator.simulation.contest import hold
from crewcall_operator.simulation.picture import draw
from crewcall_operator.simulation.scenarios import Scenario

RECORD = Path(__file__).with_name("quality.json")
IMAGES = Path(__file__).parents[1] / "docs" / "images"

#: Cases that are drawn, where there are such, with the peers beside Crewcall.
DRAWN = {
    "step-burst": ("keda", "keda-default", "hpa-behavior"),
    "delayed-only": ("keda", "knative"),
    "azure_code_1h, start in 30 s": ("keda", "knative", "wpa"),
}

Case = dict[str, Any]
"""A contest's result, as `simulation.report.as_json` has it."""


@dataclass(frozen=True, slots=True)
class Record:
    """Every case under every autoscaler, and Crewcall alone on other seeds and under other promises."""

    cases: Sequence[Case]
    held: Sequence[Held]
    grid: Sequence[Held]


def write(record: Record) -> None:
    """A line for each case and run, so that a change can be read."""
    parts = {
        "cases": record.cases,
        "held": [asdict(it) for it in record.held],
        "grid": [asdict(it) for it in record.grid],
    }
    lines = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in parts.items()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read() -> Record:
    parts = json.loads(RECORD.read_text(encoding="utf-8"))
    return Record(parts["cases"], [Held(**it) for it in parts["held"]], [Held(**it) for it in parts["grid"]])


def draw_pictures(cases: Sequence[Scenario], policy: Policy, promise: float) -> None:
    """Draw those of the `cases` that are drawn; the picture of one that is not among them goes."""
    there = {case.name: case for case in cases}
    for name, peers in DRAWN.items():
        file = IMAGES / picture_of(name)
        if case := there.get(name):
            draw(hold(case.trace, case.setting, policy, promise, peers), file)
        else:
            file.unlink(missing_ok=True)


def picture_of(name: str) -> str:
    """The file that the case of this name is drawn in."""
    return f"benchmark-{name.partition(',')[0].replace('_', '-')}.png"
