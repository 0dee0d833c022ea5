"""What people may do with WorkerPools who may view or edit a namespace."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.chart import RELEASE, Chart

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def test_who_may_view_may_look_at_pools_and_who_may_edit_may_change_and_scale_them(chart: Chart) -> None:
    assert {name: _rights(role) for name, role in _user_roles(chart).items()} == {
        "view": {("workerpools", verb) for verb in ("get", "list", "watch")}
        | {(f"workerpools/{part}", verb) for part in ("status", "scale") for verb in ("get", "list", "watch")},
        "edit": {("workerpools", verb) for verb in ("create", "update", "patch", "delete", "deletecollection")}
        | {("workerpools/scale", verb) for verb in ("update", "patch")},
    }


@pytest.mark.parametrize(
    "values", [{"crds": {"install": False}}, {"rbac": {"aggregate": False}}, {"rbac": {"create": False}}]
)
def test_the_roles_come_with_the_definition_once_in_a_cluster_unless_told_not_to(
    chart: Chart, values: dict[str, Any]
) -> None:
    assert _user_roles(chart, values) == {}


def _user_roles(chart: Chart, values: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The ClusterRoles that Kubernetes adds to one of its own, by that one's name."""
    return {
        label.removeprefix(AGGREGATE): one
        for one in chart.render(values)
        if one["kind"] == "ClusterRole"
        for label, value in one["metadata"]["labels"].items()
        if label.startswith(AGGREGATE) and value == "true" and one["metadata"]["name"].startswith(f"{RELEASE}-")
    }


def _rights(role: dict[str, Any]) -> set[tuple[str, str]]:
    assert all(rule["apiGroups"] == ["crewcall.dev"] for rule in role["rules"])
    return {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
