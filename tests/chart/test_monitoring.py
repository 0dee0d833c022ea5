"""What the chart gives to a Prometheus operator and to Grafana, where it is asked to."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tests.support.chart import NAMESPACE, RELEASE, Chart, check_schema
from tests.support.prometheus import ALERTS, DASHBOARD, alert_rules

from crewcall_operator.api.names import LABEL_POOL

KINDS = {
    "serviceMonitor": "ServiceMonitor",
    "podMonitor": "PodMonitor",
    "prometheusRule": "PrometheusRule",
    "dashboard": "ConfigMap",
}

ALL: dict[str, Any] = {name: {"enabled": True, "labels": {"release": "stack"}} for name in KINDS}


def test_none_of_them_is_there_unless_asked_for(chart: Chart) -> None:
    assert {rendered["kind"] for rendered in chart.render()} & set(KINDS.values()) == set()


@pytest.mark.parametrize("name", KINDS)
def test_each_is_asked_for_by_itself(chart: Chart, name: str) -> None:
    rendered = chart.render({name: {"enabled": True}})

    assert {found["kind"] for found in rendered} & set(KINDS.values()) == {KINDS[name]}


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["shop", "mail"]}, {"fullnameOverride": "callers"}])
def test_all_are_what_their_kinds_allow_and_carry_the_labels_asked_for(chart: Chart, values: dict[str, Any]) -> None:
    found = [one for one in chart.render({**ALL, **values}) if one["kind"] in KINDS.values()]

    assert len(found) == len(KINDS)
    for rendered in found:
        check_schema(rendered)
        assert rendered["metadata"]["namespace"] == NAMESPACE
        assert rendered["metadata"]["labels"]["release"] == "stack"


def test_the_service_monitor_finds_the_operators_service_and_its_port(chart: Chart) -> None:
    service = chart.render_one("Service", ALL)
    monitor = chart.render_one("ServiceMonitor", {**ALL, "serviceMonitor": {"enabled": True, "interval": "5s"}})

    assert service["metadata"]["labels"].items() >= monitor["spec"]["selector"]["matchLabels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    assert monitor["spec"]["endpoints"] == [
        {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "5s", "honorLabels": True}
    ]


def test_the_pod_monitor_finds_every_pools_pods_and_names_their_pool(chart: Chart) -> None:
    spec = chart.render_one("PodMonitor", ALL)["spec"]

    assert spec["selector"] == {"matchExpressions": [{"key": LABEL_POOL, "operator": "Exists"}]}
    assert spec["namespaceSelector"] == {"any": True}
    (endpoint,) = spec["podMetricsEndpoints"]
    # Prometheus makes every character of a label's name that it cannot have an underscore.
    meta = "__meta_kubernetes_pod_label_" + LABEL_POOL.replace(".", "_").replace("/", "_")
    assert endpoint["relabelings"] == [{"sourceLabels": [meta], "targetLabel": "pool"}]


def test_the_pod_monitor_stays_in_the_namespaces_that_are_watched(chart: Chart) -> None:
    spec = chart.render_one("PodMonitor", {**ALL, "watchNamespaces": ["shop", "mail"]})["spec"]

    assert spec["namespaceSelector"] == {"matchNames": ["shop", "mail"]}


@pytest.mark.parametrize("suffix", [".md", ".html", ""])
def test_the_rules_are_those_of_the_file_each_with_its_runbook(chart: Chart, suffix: str) -> None:
    pages = {"runbooks": "https://wiki.example/crewcall/", "runbookSuffix": suffix}
    values = {"prometheusRule": {"enabled": True, **pages}}
    expected = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in (rule for group in expected for rule in group["rules"]):
        rule["annotations"]["runbook_url"] = f"https://wiki.example/crewcall/{rule['alert']}{suffix}"

    assert chart.render_one("PrometheusRule", values)["spec"]["groups"] == expected


def test_the_rules_link_to_nowhere_until_a_place_is_named(chart: Chart) -> None:
    rendered = chart.render_one("PrometheusRule", {"prometheusRule": {"enabled": True}})

    assert rendered["spec"]["groups"] == yaml.safe_load(ALERTS.read_text())["groups"]


def test_alerts_get_the_labels_asked_for_and_another_severity_if_one_is_named(chart: Chart) -> None:
    wanted = {"team": "platform", "severity": "page"}
    values = {"prometheusRule": {"enabled": True, "alertLabels": wanted}}
    groups = chart.render_one("PrometheusRule", values)["spec"]["groups"]

    assert [rule["labels"] for group in groups for rule in group["rules"]] == [wanted] * len(alert_rules())


def test_the_dashboard_is_the_file_in_a_config_map_that_grafanas_sidecar_takes(chart: Chart) -> None:
    found = chart.render_one("ConfigMap", {"dashboard": {"enabled": True, "namespace": "grafana"}})

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert (found["metadata"]["namespace"], found["metadata"]["name"]) == ("grafana", f"{RELEASE}-dashboard")
    assert found["data"] == {"crewcall.json": DASHBOARD.read_text()}


def test_the_panels_of_the_dashboard_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
