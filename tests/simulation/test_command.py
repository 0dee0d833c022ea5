"""`crewcall simulate`, as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crewcall_operator.cli import main
from crewcall_operator.simulation.peers import PEERS
from crewcall_operator.simulation.scenarios import SCENARIOS

POOL = """
apiVersion: crewcall.dev/v1alpha1
kind: WorkerPool
metadata: {name: sms}
spec:
  redis: {url: "redis://redis:6379/0"}
  queues: [{name: sms}]
  maxReplicas: 20
  target: {queueLatency: 20s}
  concurrency: 4
  template: {spec: {containers: [{name: worker, image: worker}]}}
"""


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL)
    return file


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "jobs.csv"
    file.write_text("arrival_s,service_s\n" + "".join(f"{at / 2},1.5\n" for at in range(600)))
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def test_answers_with_a_table_of_all_that_were_compared(pool: Path, trace: Path) -> None:
    result = run("-f", pool, "--trace", trace, "--startup", "5s", "--compare", "keda,aws")

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "jobs: 600 jobs in 5 min, 1.5 s each · promise 95% within 20 s"
    assert " ".join(lines[2].split()) == "late p50 p95 p99 pod-hours vs clairvoyant peak changes flips cut off"
    assert [line.split()[0] for line in lines[3:6]] == ["crewcall", "keda", "aws"]
    assert "Replicas start in 5 s, with 4 threads each." in result.stdout


def test_answers_in_json_with_a_line_for_each_trace(pool: Path, trace: Path) -> None:
    result = run("-f", pool, "--trace", trace, "--scenario", "crash-at-zero", "--json", "--compare", "all")

    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["trace"], first["jobs"], first["promise_s"], first["startup_s"]) == ("jobs", 600, 20.0, 30.0)
    assert (second["trace"], second["startup_s"]) == ("crash-at-zero", 15.0)
    assert list(first["autoscalers"]) == ["crewcall", *PEERS]
    assert first["clairvoyant_pod_hours"] >= first["work_pod_hours"] > 0


def test_the_promise_is_feasible_where_the_minimum_of_replicas_makes_it_so(tmp_path: Path) -> None:
    pool, trace = tmp_path / "pool.yaml", tmp_path / "jobs.csv"
    pool.write_text(POOL.replace("  maxReplicas: 20", "  minReplicas: 2\n  maxReplicas: 20"))
    trace.write_text("arrival_s,service_s\n" + "".join(f"{at * 600},1\n" for at in range(20)))

    answer = json.loads(run("-f", pool, "--trace", trace, "--compare", "all", "--json").stdout)

    assert answer["feasible"]
    assert {scores["late"] for scores in answer["autoscalers"].values()} == {0.0}


def test_jobs_that_took_no_time_at_all_are_simulated_too(pool: Path, tmp_path: Path) -> None:
    trace = tmp_path / "jobs.csv"
    trace.write_text("arrival_s,service_s\n0,0\n1,0\n")

    result = run("-f", pool, "--trace", trace, "--compare", "all")

    assert result.exit_code == 0, result.output
    assert "2 jobs" in result.stdout


def test_says_why_nothing_moves_in_a_paused_pool(tmp_path: Path, trace: Path) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(POOL.replace("  maxReplicas: 20", "  mode: Paused\n  maxReplicas: 20"))

    assert run("-f", pool, "--trace", trace).stderr == (
        "default/sms is Paused, so its replicas stay at minReplicas, which is 0. "
        "Set mode: Auto to see what it would do.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--compare", "all,keda"], list(PEERS)),
        (["--compare", "keda,hpa,keda"], ["keda", "hpa"]),
    ],
)
def test_compares_with_each_once(pool: Path, trace: Path, arguments: list[str], names: list[str]) -> None:
    answer = json.loads(run("-f", pool, "--trace", trace, "--json", *arguments).stdout)

    assert list(answer["autoscalers"]) == ["crewcall", *names]


@pytest.mark.parametrize(
    ("names", "traces"), [(["all", "cron"], len(SCENARIOS)), (["crash-at-zero", "crash-at-zero"], 1)]
)
def test_plays_each_scenario_once(
    pool: Path, names: list[str], traces: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[str] = []
    monkeypatch.setattr("crewcall_operator.simulation.contest.hold", lambda trace, *_: played.append(trace.name))
    monkeypatch.setattr("crewcall_operator.simulation.report.table", lambda _: "")

    run("-f", pool, *(it for name in names for it in ("--scenario", name)))

    assert len(played) == len(set(played)) == traces


def test_a_wait_that_never_ends_is_no_number(pool: Path) -> None:
    result = run("-f", pool, "--scenario", "delayed-only", "--compare", "keda")

    assert "never" in result.stdout
    assert '"p99": null' in run("-f", pool, "--scenario", "delayed-only", "--compare", "keda", "--json").stdout


def test_says_that_nobody_who_only_reacts_could_keep_the_promise(pool: Path, trace: Path) -> None:
    assert (
        "No pool that only reacts keeps this promise here"
        in run("-f", pool, "--trace", trace, "--startup", "5m").stdout
    )


def test_draws_a_picture(pool: Path, trace: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out.png"

    result = run("-f", pool, "--trace", trace, "--plot", picture)

    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"picture: {picture}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to simulate: give a --trace, or a --scenario."),
        (["--startup", "30"], '"30"; expected a duration above zero, such as 30s, 1m30s or 500ms.'),
        (["--compare", "keda,magic"], "magic; there are hpa, hpa-behavior, keda-default"),
        (["--scenario", "rain"], "rain; there are steady, step-burst"),
        (["--scenario", "all", "--plot", "out.png"], f"--plot draws one trace, and there are {len(SCENARIOS)}."),
    ],
)
def test_says_what_is_wrong_with_its_options(pool: Path, arguments: list[str], complaint: str) -> None:
    result = run("-f", pool, *arguments)

    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        ("out.txt", "out.txt; name a file that ends in .png, .svg or .pdf."),
        ("out", "out; name a file that ends in .png, .svg or .pdf."),
        ("none/out.png", "there is no folder none."),
        ("/proc/out.png", "/proc/out.png cannot be written: "),
        ("folder.png", "folder.png is a folder."),
    ],
)
def test_says_where_it_cannot_draw_before_it_simulates(
    pool: Path, trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: str, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()

    result = run("-f", pool, "--trace", trace, "--plot", picture)

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in " ".join(result.stderr.split())
    assert {file.name for file in tmp_path.iterdir()} == {"pool.yaml", "jobs.csv", "folder.png"}


def test_says_what_is_wrong_in_its_files(pool: Path, tmp_path: Path) -> None:
    bad = tmp_path / "jobs.csv"
    bad.write_text('arrival_s,service_s\n0,"1,65"\n')
    several = tmp_path / "two.yaml"
    several.write_text(POOL + "---" + POOL.replace("name: sms}\n", "name: email}\n", 1))

    assert run("-f", pool, "--trace", bad).stderr == (
        f'{bad} line 2: service_s is "1,65"; expected seconds as a number, such as 1.65.\n'
    )
    assert run("-f", several, "--trace", bad).stderr == (
        f"{several}: holds 2 WorkerPools; keep the one that is meant in a file of its own.\n"
    )
