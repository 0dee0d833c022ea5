"""Labels and annotations: those asked for are on every object, and none takes the place of what selectors go by."""

from __future__ import annotations

from typing import Any

from tests.support.chart import Chart

EVERYTHING: dict[str, Any] = {
    name: {"enabled": True} for name in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard", "networkPolicy")
}


def test_every_object_and_the_pods_carry_the_labels_and_annotations_asked_for(chart: Chart) -> None:
    labels, annotations = {"team": "shop"}, {"example.com/owner": "shop"}
    rendered = chart.render({**EVERYTHING, "commonLabels": labels, "commonAnnotations": annotations})
    pod = next(one for one in rendered if one["kind"] == "Deployment")["spec"]["template"]

    for one in (*rendered, pod):
        assert one["metadata"]["labels"].items() >= labels.items(), one["metadata"]
        assert one["metadata"]["annotations"].items() >= annotations.items(), one["metadata"]


def test_an_objects_own_labels_win_over_the_common_ones(chart: Chart) -> None:
    values = {
        "commonLabels": {"team": "shop", "grafana_dashboard": "2"},
        "podLabels": {"team": "pods"},
        "serviceAccount": {"labels": {"team": "accounts"}},
        "dashboard": {"enabled": True},
    }

    assert _labels(chart.render_one("ServiceAccount", values))["team"] == "accounts"
    assert _labels(chart.render_one("Deployment", values)["spec"]["template"])["team"] == "pods"
    assert _labels(chart.render_one("Service", values))["team"] == "shop"
    assert _labels(chart.render_one("ConfigMap", values))["grafana_dashboard"] == "1"


def test_no_label_of_the_user_leads_the_selectors_astray(chart: Chart) -> None:
    mine = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/instance": "mine"}
    plain, labelled = (
        chart.render_one("Deployment", values) for values in ({}, {"commonLabels": mine, "podLabels": mine})
    )

    assert labelled == plain


def _labels(rendered: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = rendered["metadata"]["labels"]
    return found
