"""The rights that the operator is given: these and no others."""

from __future__ import annotations

from typing import Any

from tests.support.chart import NAMESPACE, RELEASE, Chart
from tests.support.rights import RULES, lease_rules


def test_has_these_rights_everywhere_by_default(chart: Chart) -> None:
    assert [(role["kind"], role["metadata"].get("namespace"), role["rules"]) for role in _roles(chart, [])] == [
        ("ClusterRole", None, RULES)
    ]


def test_has_the_same_rights_in_the_namespaces_named_and_none_elsewhere(chart: Chart) -> None:
    assert [
        (role["kind"], role["metadata"].get("namespace"), role["rules"]) for role in _roles(chart, ["shop", "mail"])
    ] == [("Role", "shop", RULES), ("Role", "mail", RULES)]


def test_reads_no_secret_where_that_is_not_wanted(chart: Chart) -> None:
    (role,) = _roles(chart, [], readSecrets=False)

    assert role["rules"] == [rule for rule in RULES if "secrets" not in rule["resources"]]


def test_may_hold_its_own_lease_and_no_other(chart: Chart) -> None:
    role, binding = (
        one
        for one in chart.render()
        if one["kind"] in ("Role", "RoleBinding") and one["metadata"]["name"] == f"{RELEASE}-lease"
    )

    assert (role["metadata"]["namespace"], role["rules"]) == (NAMESPACE, lease_rules(RELEASE))
    assert binding["metadata"]["namespace"] == NAMESPACE
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}]


def test_binds_each_role_to_the_operators_own_account(chart: Chart) -> None:
    account = {"kind": "ServiceAccount", "name": "robot", "namespace": NAMESPACE}
    values = {"watchNamespaces": ["shop"], "serviceAccount": {"name": "robot"}}

    binding, of_lease = (one for one in chart.render(values) if one["kind"] == "RoleBinding")

    assert binding["metadata"]["namespace"] == "shop"
    assert (binding["subjects"], of_lease["subjects"]) == ([account], [account])
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": RELEASE}
    assert chart.render_one("Deployment", values)["spec"]["template"]["spec"]["serviceAccountName"] == "robot"


def _roles(chart: Chart, namespaces: list[str], **rbac: bool) -> list[dict[str, Any]]:
    """The operator's own roles."""
    rendered = chart.render({"watchNamespaces": namespaces, "rbac": rbac})
    return [one for one in rendered if one["kind"] in ("Role", "ClusterRole") and one["metadata"]["name"] == RELEASE]
