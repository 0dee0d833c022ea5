"""What the chart renders to, over the values that change its shape."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.chart import NAMESPACE, RELEASE, Chart, check_schema

from crewcall_operator.cli import operator

DIGEST = "sha256:" + "0" * 64

VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one namespace": {"watchNamespaces": ["shop"]},
    "two namespaces": {"watchNamespaces": ["shop", "mail"]},
    "nothing cluster-wide": {"crds": {"install": False}, "rbac": {"create": False}},
    "an existing account": {"serviceAccount": {"create": False, "name": "mine"}},
    "every option": {
        "fullnameOverride": "callers",
        "image": {"repository": "registry.example/crewcall", "tag": "9", "digest": DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "operator": {"interval": 2, "logFormat": "text", "logLevel": "debug", "env": [{"name": "TZ", "value": "UTC"}]},
        "serviceAccount": {"annotations": {"example.com/role": "a"}},
        "service": {"port": 80, "annotations": {"example.com/scrape": "yes"}},
        "metrics": {"prometheusAnnotations": False},
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "podAnnotations": {"example.com/a": "b"},
        "podLabels": {"team": "shop"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "commonLabels": {"team": "shop"},
        "commonAnnotations": {"example.com/owner": "shop"},
        "podSecurityContext": {"runAsUser": None, "fsGroup": 1},
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"ports": [{"port": 443}, {"port": 6379}]}],
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "priorityClassName": "system-cluster-critical",
    },
}


def test_passes_helms_own_strict_lint(chart: Chart) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in chart.lint()


@pytest.mark.parametrize("name", VALUES)
def test_renders_objects_that_the_api_knows(chart: Chart, name: str) -> None:
    for rendered in chart.render(VALUES[name]):
        check_schema(rendered)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        (
            "defaults",
            [
                "ClusterRole",
                "ClusterRole",
                "ClusterRole",
                "ClusterRoleBinding",
                "CustomResourceDefinition",
                "Deployment",
                "PodDisruptionBudget",
                "Role",
                "RoleBinding",
                "Service",
                "ServiceAccount",
            ],
        ),
        (
            "one namespace",
            [
                "ClusterRole",
                "ClusterRole",
                "CustomResourceDefinition",
                "Deployment",
                "PodDisruptionBudget",
                "Role",
                "Role",
                "RoleBinding",
                "RoleBinding",
                "Service",
                "ServiceAccount",
            ],
        ),
        ("nothing cluster-wide", ["Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"]),
    ],
)
def test_installs_just_the_objects_asked_for(chart: Chart, name: str, kinds: list[str]) -> None:
    assert sorted(rendered["kind"] for rendered in chart.render(VALUES[name])) == kinds


def test_puts_each_object_in_the_releases_namespace_except_the_roles(chart: Chart) -> None:
    namespaces = {
        rendered["metadata"]["namespace"]
        for rendered in chart.render({"watchNamespaces": ["shop"], "crds": {"install": False}})
        if not rendered["kind"].startswith("Role")
    }

    assert namespaces == {NAMESPACE}


def test_runs_the_operator_as_the_restricted_pod_standard_demands(chart: Chart) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    pod = chart.render_one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_runs_two_operators_that_agree_by_a_lease_on_the_one_that_writes(chart: Chart) -> None:
    spec = chart.render_one("Deployment")["spec"]

    assert (spec["replicas"], spec["strategy"]["type"]) == (2, "RollingUpdate")
    assert f"--lease={NAMESPACE}/{RELEASE}" in spec["template"]["spec"]["containers"][0]["args"]


def test_never_has_two_operators_at_once_where_they_elect_no_leader(chart: Chart) -> None:
    values = {"operator": {"leaderElection": False}, "replicas": 3}
    spec = chart.render_one("Deployment", values)["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert "--no-leader-election" in spec["template"]["spec"]["containers"][0]["args"]
    assert not {"PodDisruptionBudget", "RoleBinding"} & {one["kind"] for one in chart.render(values)}


@pytest.mark.parametrize(("replicas", "budgets"), [(1, 0), (2, 1), (5, 1)])
def test_keeps_one_of_several_operators_through_a_drain_of_nodes(chart: Chart, replicas: int, budgets: int) -> None:
    rendered = chart.render({"replicas": replicas})
    found = [one for one in rendered if one["kind"] == "PodDisruptionBudget"]
    (deployment,) = [one for one in rendered if one["kind"] == "Deployment"]

    assert [one["spec"] for one in found] == [
        {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]}
    ] * budgets
    assert ("topologySpreadConstraints" in deployment["spec"]["template"]["spec"]) == bool(budgets)


def test_gives_a_part_of_the_pools_to_a_release(chart: Chart) -> None:
    (container,) = chart.render_one("Deployment", {"operator": {"selector": "shard in (a, b)"}})["spec"]["template"][
        "spec"
    ]["containers"]

    assert "--selector=shard in (a, b)" in container["args"]


def test_probes_and_service_reach_the_port_that_the_operator_listens_on(chart: Chart) -> None:
    (container,) = chart.render_one("Deployment")["spec"]["template"]["spec"]["containers"]
    service = chart.render_one("Service", {"service": {"port": 80}})

    assert "--listen=0.0.0.0:8080" in container["args"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]


def test_service_finds_the_operators_pod(chart: Chart) -> None:
    selected = chart.render_one("Service")["spec"]["selector"]
    deployment = chart.render_one("Deployment", {"podLabels": {"team": "shop"}})["spec"]

    assert deployment["selector"]["matchLabels"] == selected
    assert deployment["template"]["metadata"]["labels"].items() >= selected.items()


def test_hands_its_options_to_the_operator_in_the_operators_own_words(chart: Chart) -> None:
    values = {
        "operator": {"interval": 2, "logFormat": "text", "logLevel": "debug"},
        "watchNamespaces": ["shop", "mail"],
    }
    (container,) = chart.render_one("Deployment", values)["spec"]["template"]["spec"]["containers"]

    assert operator.make_context("operator", list(container["args"])).params == {
        "listen": "0.0.0.0:8080",
        "log_format": "text",
        "log_level": "debug",
        "interval": 2.0,
        "namespaces": ("shop", "mail"),
        "leader_election": True,
        "lease": f"{NAMESPACE}/{RELEASE}",
        "selector": "",
    }


def test_pins_the_image_by_digest_where_one_is_given(chart: Chart) -> None:
    values = {"image": {"repository": "registry.example/crewcall", "tag": "9", "digest": DIGEST}}
    (container,) = chart.render_one("Deployment", values)["spec"]["template"]["spec"]["containers"]

    assert container["image"] == f"registry.example/crewcall:9@{DIGEST}"


def test_tells_prometheus_where_to_scrape_unless_told_not_to(chart: Chart) -> None:
    def annotations(*, wanted: bool) -> dict[str, str]:
        deployment = chart.render_one("Deployment", {"metrics": {"prometheusAnnotations": wanted}})
        found: dict[str, str] = deployment["spec"]["template"]["metadata"]["annotations"]
        return {name: value for name, value in found.items() if name.startswith("prometheus.io/")}

    assert annotations(wanted=True) == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": "/metrics",
    }
    assert annotations(wanted=False) == {}
