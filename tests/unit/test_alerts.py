"""The alerts: each fires when its fault is there for long enough and not before, has a page, and names what is served.

`promtool test rules` evaluates the chart's own rules over series that a test writes down, hours in a second.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.debian import find_program
from tests.support.prometheus import ALERTS, alert_rules, dashboard_queries, named_metrics
from tests.support.tools import ToolMissing
from tests.unit.test_metrics_doc import PAGE, described

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]

POOL = '{namespace="shop", pool="sms"}'
HERE = {"namespace": "shop", "pool": "sms"}

#: Alert -> its fault's series by the minute, when it must still be silent and when it must fire, with what labels.
FAULTS: dict[str, tuple[dict[str, str], int, int, dict[str, str]]] = {
    "CrewcallOperatorDown": ({'crewcall_build_info{version="1"}': "1 _x60"}, 6, 9, {}),
    "CrewcallNoLeader": ({'crewcall_leader{pod="a"}': "0x60", 'crewcall_leader{pod="b"}': "1 0x60"}, 1, 3, {}),
    "CrewcallReconcileSlow": (
        {
            'crewcall_tick_seconds_bucket{le="1.0"}': "0+0x60",
            'crewcall_tick_seconds_bucket{le="5.0"}': "0+120x60",
            'crewcall_tick_seconds_bucket{le="+Inf"}': "0+120x60",
        },
        9,
        15,
        {},
    ),
    "CrewcallApiErrors": (
        {'crewcall_api_errors_total{verb="PATCH", code="503"}': "0+60x60"},
        9,
        15,
        {"verb": "PATCH", "code": "503"},
    ),
    "CrewcallPoolSpecInvalid": ({f"crewcall_pool_spec_valid{POOL}": "1 0x60"}, 4, 7, HERE),
    "CrewcallRedisUnavailable": ({f"crewcall_pool_redis_up{POOL}": "1 0x60"}, 1, 3, HERE),
    "CrewcallPoolCannotScale": ({f"crewcall_pool_target_up{POOL}": "1 0x60"}, 2, 4, HERE),
    "CrewcallJobsWaitTooLong": (
        {
            'crewcall_queue_oldest_ready_age_seconds{namespace="shop", pool="sms", queue="a"}': "0+60x60",
            'crewcall_queue_oldest_ready_age_seconds{namespace="shop", pool="sms", queue="b"}': "1x60",
            'crewcall_queue_oldest_ready_age_seconds{namespace="shop", pool="sms", queue="c"}': "9000x60",
            'crewcall_queue_paused{namespace="shop", pool="sms", queue="c"}': "1x60",
            f"crewcall_pool_target_latency_seconds{POOL}": "30x60",
        },
        5,
        7,
        HERE,
    ),
    "CrewcallAtMaxReplicas": (
        {'crewcall_decisions_total{namespace="shop", pool="sms", reason="TooManyReplicas"}': "0+120x60"},
        15,
        20,
        HERE,
    ),
    "CrewcallReplicasNotReady": (
        {f"crewcall_pool_current_replicas{POOL}": "5x60", f"crewcall_pool_ready_replicas{POOL}": "3x60"},
        14,
        16,
        HERE,
    ),
    "CrewcallDrainStuck": ({f"crewcall_pool_draining_replicas{POOL}": "2x90"}, 59, 61, HERE),
    "CrewcallDeadLetters": (
        {'crewcall_queue_dead_jobs{namespace="shop", pool="sms", queue="a"}': "7x20 8x40"},
        19,
        22,
        {**HERE, "queue": "a"},
    ),
    "CrewcallWorkersDie": ({f"crewcall_dead_workers_total{POOL}": "0x20 1x1 2x1 3x1 4x20"}, 20, 26, HERE),
}

#: A day on which all is well, and much is going on.
FINE = {
    'crewcall_build_info{version="1"}': "1x90",
    'crewcall_leader{pod="a"}': "0x90",
    'crewcall_leader{pod="b"}': "1x90",
    'crewcall_tick_seconds_bucket{le="0.5"}': "0+120x90",
    'crewcall_tick_seconds_bucket{le="+Inf"}': "0+120x90",
    'crewcall_api_errors_total{verb="GET", code="404"}': "0+60x90",
    'crewcall_api_errors_total{verb="PATCH", code="409"}': "0+60x90",
    'crewcall_api_errors_total{verb="PATCH", code="503"}': "0x30 20x60",
    f"crewcall_pool_spec_valid{POOL}": "0x3 1x90",
    f"crewcall_pool_redis_up{POOL}": "1x90",
    f"crewcall_pool_target_up{POOL}": "1x90",
    'crewcall_queue_oldest_ready_age_seconds{namespace="shop", pool="sms", queue="a"}': "0 40 10 50 12 20x90",
    f"crewcall_pool_target_latency_seconds{POOL}": "30x90",
    'crewcall_queue_oldest_ready_age_seconds{namespace="shop", pool="arithmetic", queue="c"}': "0+60x90",
    'crewcall_decisions_total{namespace="shop", pool="sms", reason="TooManyReplicas"}': "0+120x5 600x90",
    'crewcall_decisions_total{namespace="shop", pool="sms", reason="SteadyLoad"}': "0+120x90",
    f"crewcall_pool_current_replicas{POOL}": "5x90",
    f"crewcall_pool_ready_replicas{POOL}": "3x10 5x80",
    f"crewcall_pool_draining_replicas{POOL}": "2x50 0x40",
    'crewcall_queue_dead_jobs{namespace="shop", pool="sms", queue="a"}': "7x90",
    f"crewcall_dead_workers_total{POOL}": "0x20 1x70",
}


@pytest.fixture(scope="session")
def promtool() -> Path:
    try:
        return find_program("prometheus", "promtool")
    except ToolMissing as missing:
        pytest.skip(str(missing))


def judged(promtool: Path, folder: Path, series: dict[str, str], expected: list[dict[str, Any]]) -> str:
    """What promtool has against `expected`, alerts at their times; empty where it is so."""
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": expected}
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        del rule["annotations"]  # promtool compares these too; what they say is not what this is about
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    done = subprocess.run(
        [str(promtool), "test", "rules", str(file)], check=False, capture_output=True, text=True, timeout=300
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def alert(name: str, minute: int, *labels: dict[str, str]) -> dict[str, Any]:
    """That an alert fires at a minute, once for each of `labels`; with none of them, that it is silent."""
    (rule,) = (rule for rule in alert_rules() if rule["alert"] == name)
    expected = [{"exp_labels": {**rule["labels"], **each}} for each in labels]
    return {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": expected}


def test_prometheus_itself_has_nothing_against_the_rules(promtool: Path) -> None:
    done = subprocess.run([str(promtool), "check", "rules", str(ALERTS)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FAULTS)
def test_fires_once_its_fault_has_lasted_and_not_before(promtool: Path, tmp_path: Path, name: str) -> None:
    series, silent, firing, labels = FAULTS[name]

    said = judged(promtool, tmp_path, series, [alert(name, silent), alert(name, firing, labels)])

    assert said == ""


def test_one_release_of_several_that_is_down_or_without_a_leader_is_told_of(promtool: Path, tmp_path: Path) -> None:
    well, ill = {"namespace": "a", "job": "crewcall"}, {"namespace": "b", "job": "crewcall"}
    series = {
        'crewcall_build_info{namespace="a", job="crewcall", pod="0"}': "1x60",
        'crewcall_build_info{namespace="b", job="crewcall", pod="1"}': "1x9 _x50",
        'crewcall_leader{namespace="a", job="crewcall", pod="0"}': "1x60",
        'crewcall_leader{namespace="b", job="crewcall", pod="1"}': "0x9 _x50",
    }

    expected = [
        alert("CrewcallNoLeader", 5, ill),
        alert("CrewcallOperatorDown", 5),
        alert("CrewcallOperatorDown", 20, ill),
    ]
    assert judged(promtool, tmp_path, series, expected) == ""
    assert judged(promtool, tmp_path, series, [alert("CrewcallNoLeader", 5, ill, well)]) != ""


def test_a_status_that_is_refused_now_and_then_is_told_of(promtool: Path, tmp_path: Path) -> None:
    series = {'crewcall_api_errors_total{verb="PATCH", code="422"}': "0+2x60"}

    assert judged(promtool, tmp_path, series, [alert("CrewcallApiErrors", 20, {"verb": "PATCH", "code": "422"})]) == ""


def test_all_are_silent_while_all_is_well(promtool: Path, tmp_path: Path) -> None:
    silence = [alert(name, minute) for name in FAULTS for minute in (5, 12, 25, 35, 45, 60, 75)]

    assert judged(promtool, tmp_path, FINE, silence) == ""


def test_every_alert_has_its_fault_here_and_a_page_of_the_usual_parts() -> None:
    names = {rule["alert"] for rule in alert_rules()}

    assert set(FAULTS) == names
    assert {page.stem for page in RUNBOOKS.glob("Crewcall*.md")} == names
    assert {rule["annotations"]["runbook"] for rule in alert_rules()} == {f"docs/runbooks/{name}.md" for name in names}
    for name in names:
        text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS


def test_the_index_of_runbooks_has_them_all() -> None:
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")

    assert re.findall(r"\]\((Crewcall\w+)\.md\)", index) == [rule["alert"] for rule in alert_rules()]


def test_alerts_and_dashboard_name_metrics_that_are_served() -> None:
    operators, _, workers = PAGE.partition("## Workers")
    documented = set(described(operators)) | set(described(workers))
    named = {name for expression in [rule["expr"] for rule in alert_rules()] for name in named_metrics(expression)}
    drawn = {name for query in dashboard_queries() for name in named_metrics(query)}

    assert named - documented == set()
    assert drawn - documented == set()


def test_the_dashboard_shows_every_metric_that_the_alerts_are_made_of() -> None:
    drawn = {name for query in dashboard_queries() for name in named_metrics(query)}

    assert {name for rule in alert_rules() for name in named_metrics(rule["expr"])} - drawn == set()
