"""`make demo` once, whole, and what it would say of figures that are not as promised."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from examples.demo import Result

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"
GOOD = Result(
    jobs=400,
    done=400,
    lost=0,
    duplicated=0,
    peak_replicas=6,
    final_replicas=0,
    reaction_s=0.5,
    plot="build/demo.png",
)


def test_the_demo_keeps_its_promises_and_draws_its_picture(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")  # it writes to build/ where it is run

    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )

    *_, line = done.stdout.splitlines() or [done.stderr]
    told = json.loads(line)
    # How soon it reacts says something of the machine's other work as well: benchmarks.reaction measures that.
    broken = Result(**told).broken_promises()
    assert [it for it in broken if not it.startswith("reaction_s")] == [], done.stderr
    assert done.returncode == (1 if broken else 0), done.stderr
    measured = {"peak_replicas": told["peak_replicas"], "reaction_s": told["reaction_s"]}
    assert told == {
        "jobs": 400,
        "done": 400,
        "lost": 0,
        "duplicated": 0,
        **measured,
        "final_replicas": 0,
        "plot": "build/demo.png",
    }
    assert told["peak_replicas"] > 1
    assert told["reaction_s"] > 0
    assert (tmp_path / told["plot"]).read_bytes().startswith(PNG)
    assert "Drained; no worker is left." in done.stderr


def test_the_demo_owns_up_to_every_figure_that_is_not_as_promised() -> None:
    bad = replace(GOOD, jobs=399, done=398, lost=1, duplicated=2, peak_replicas=1, final_replicas=1, reaction_s=1.2)

    assert GOOD.broken_promises() == []
    assert bad.broken_promises() == [
        "jobs is 399, not 400",
        "done is 398, not all 399 jobs",
        "lost is 1, not 0",
        "duplicated is 2, not 0",
        "peak_replicas is 1, not above 1",
        "final_replicas is 1, not 0",
        "reaction_s is 1.2, not below 1.2",
    ]


def test_a_pool_that_never_scaled_up_has_no_reaction_to_boast_of() -> None:
    assert replace(GOOD, reaction_s=None).broken_promises() == ["reaction_s is None, not below 1.2"]
