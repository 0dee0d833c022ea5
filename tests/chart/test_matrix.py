"""Whatever combination of values is asked for, the objects are such as the API knows, and belong together."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.chart import NAMESPACE, Chart, check_schema

_LABELS = st.sampled_from([{}, {"team": "shop"}, {"app.kubernetes.io/name": "mine"}])
_SWITCH = st.fixed_dictionaries({"enabled": st.booleans(), "labels": _LABELS})

#: The values that change which objects there are, or what names them and binds them together.
VALUES = st.fixed_dictionaries(
    {
        "nameOverride": st.sampled_from(["", "callers"]),
        "fullnameOverride": st.sampled_from(["", "c", "x" * 63]),
        "commonLabels": _LABELS,
        "commonAnnotations": _LABELS,
        "podLabels": _LABELS,
        "watchNamespaces": st.lists(st.sampled_from(["shop", "mail", NAMESPACE]), unique=True),
        "replicas": st.integers(1, 5),
        "operator": st.fixed_dictionaries({"leaderElection": st.booleans()}),
        "crds": st.fixed_dictionaries({"install": st.booleans()}),
        "rbac": st.fixed_dictionaries(
            {"create": st.booleans(), "readSecrets": st.booleans(), "aggregate": st.booleans()}
        ),
        "serviceAccount": st.fixed_dictionaries({"create": st.booleans(), "name": st.just("robot")}),
        "serviceMonitor": _SWITCH,
        "podMonitor": _SWITCH,
        "prometheusRule": _SWITCH,
        "dashboard": _SWITCH,
        "networkPolicy": st.fixed_dictionaries({"enabled": st.booleans()}),
    }
)


@settings(max_examples=15, deadline=None)
@given(values=VALUES)
def test_any_combination_of_values_renders_to_objects_that_belong_together(
    chart: Chart, values: dict[str, Any]
) -> None:
    rendered = chart.render(values)
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for one in rendered:
        check_schema(one)
        by_kind.setdefault(one["kind"], []).append(one)
    (deployment,), (service,) = by_kind["Deployment"], by_kind["Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert len({_address(one) for one in rendered}) == len(rendered)
    for one in (deployment, *by_kind.get("PodDisruptionBudget", ())):
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    for monitor in by_kind.get("ServiceMonitor", ()):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    for binding in (*by_kind.get("RoleBinding", ()), *by_kind.get("ClusterRoleBinding", ())):
        role = (binding["roleRef"]["kind"], binding["metadata"].get("namespace"), binding["roleRef"]["name"])
        assert role in {_address(one) for one in rendered}
        assert [who["name"] for who in binding["subjects"]] == [
            deployment["spec"]["template"]["spec"]["serviceAccountName"]
        ]


def _address(one: dict[str, Any]) -> tuple[str, str | None, str]:
    return one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]
