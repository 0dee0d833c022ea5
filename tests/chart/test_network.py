"""The NetworkPolicy, where one is asked for."""

from __future__ import annotations

from typing import Any

from tests.support.chart import Chart

DNS_AND_REDIS: list[dict[str, Any]] = [
    {"ports": [{"port": 53, "protocol": "UDP"}]},
    {"ports": [{"port": 443}]},
    {"to": [{"podSelector": {"matchLabels": {"app": "redis"}}}], "ports": [{"port": 6379}]},
]


def test_is_there_only_where_it_is_asked_for(chart: Chart) -> None:
    assert "NetworkPolicy" not in {one["kind"] for one in chart.render()}


def test_lets_everybody_reach_the_metrics_and_the_operator_go_anywhere_unless_told_otherwise(chart: Chart) -> None:
    policy = chart.render_one("NetworkPolicy", {"networkPolicy": {"enabled": True}})
    deployment = chart.render_one("Deployment")["spec"]

    assert policy["spec"] == {
        "podSelector": deployment["selector"],
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
    }
    assert deployment["template"]["spec"]["containers"][0]["ports"][0]["name"] == "http"


def test_bounds_who_comes_and_where_the_operator_goes(chart: Chart) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    values = {"networkPolicy": {"enabled": True, "from": peers, "egress": DNS_AND_REDIS}}

    spec = chart.render_one("NetworkPolicy", values)["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}], "from": peers}]
    assert spec["egress"] == DNS_AND_REDIS
