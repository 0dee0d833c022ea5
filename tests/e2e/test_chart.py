"""The chart before a real API server: every object is taken, and people have the rights that it gives them."""

from __future__ import annotations

import json

import pytest
import yaml
from tests.chart.test_rendering import VALUES
from tests.support.chart import Chart
from tests.support.cluster import Cluster, eventually
from tests.support.monitoring import GROUP
from tests.support.tools import find_tool

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
RIGHTS = [*((verb, "") for verb in VERBS), ("patch", "scale"), ("patch", "status")]


@pytest.mark.parametrize("name", VALUES)
def test_the_api_server_takes_every_object_of_the_chart(cluster: Cluster, name: str) -> None:
    rendered = [one for one in Chart(find_tool("helm")).render(VALUES[name]) if not one["apiVersion"].startswith(GROUP)]
    for one in rendered:
        if "namespace" in one["metadata"]:
            one["metadata"]["namespace"] = cluster.namespace  # the only one that is there for sure

    cluster.kubectl("apply", "--dry-run=server", "--filename", "-", text=yaml.safe_dump_all(rendered))


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("view", {("get", ""), ("list", ""), ("watch", "")}),
        ("edit", {*((verb, "") for verb in VERBS), ("patch", "scale")}),
    ],
)
def test_who_may_view_or_edit_a_namespace_may_do_so_with_its_pools(
    cluster: Cluster, operator: str, role: str, allowed: set[tuple[str, str]]
) -> None:
    assert operator
    person = f"who-may-{role}"
    cluster.kubectl("create", "rolebinding", person, f"--clusterrole={role}", f"--user={person}")

    # Kubernetes adds the chart's roles to its own some time after they are made.
    eventually(
        lambda: {right for right in RIGHTS if _may(cluster, person, *right)} == allowed,
        f"{person} may do just {sorted(allowed)} with workerpools",
        within=20,
    )


def _may(cluster: Cluster, person: str, verb: str, subresource: str) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": person,
            "resourceAttributes": {
                "namespace": cluster.namespace,
                "group": "crewcall.dev",
                "resource": "workerpools",
                "subresource": subresource,
                "verb": verb,
            },
        },
    }
    answer = json.loads(cluster.kubectl("create", "--filename", "-", "--output", "json", text=yaml.safe_dump(review)))
    return bool(answer["status"]["allowed"])
