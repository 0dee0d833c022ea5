"""The board in the chart: nothing unless it is asked for, and then a pod of no rights with one way in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.chart import NAMESPACE, Chart, Refused, check_schema

from crewcall_worker.board.settings import BoardSettings, Issuer, board_settings

REDIS = {"url": "redis://redis.shop:6379/0"}
BOARD: dict[str, Any] = {"enabled": True, "redis": REDIS, "auth": {"secretName": "board"}}
SECRET = "s" * 32


def of_board(chart: Chart, **values: Any) -> dict[str, dict[str, Any]]:
    """The board's objects by kind."""
    rendered = chart.render({"board": {**BOARD, **values}})
    mine = [one for one in rendered if one["metadata"]["name"] == "crewcall-board"]
    for one in mine:
        check_schema(one)
    return {one["kind"]: one for one in mine}


def container(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (only,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def settings(found: dict[str, dict[str, Any]]) -> BoardSettings:
    """What the board makes of its environment; a Secret's value is `SECRET`."""
    return board_settings({one["name"]: one.get("value", SECRET) for one in container(found)["env"]})


def test_is_not_there_unless_it_is_asked_for(chart: Chart) -> None:
    assert not any("board" in one["metadata"]["name"] for one in chart.render())


def test_is_a_deployment_and_a_service_that_finds_its_pod_and_not_the_operators(chart: Chart) -> None:
    found = of_board(chart)
    operator = next(one for one in chart.render() if one["kind"] == "Deployment")["spec"]

    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selector = found["Service"]["spec"]["selector"]
    assert set(found) == {"Deployment", "Service"}
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= labels.items()
    assert not selector.items() <= operator["template"]["metadata"]["labels"].items()
    assert not operator["selector"]["matchLabels"].items() <= labels.items()
    assert found["Service"]["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]


def test_has_no_token_of_the_cluster_and_is_as_the_restricted_pod_standard_demands(chart: Chart) -> None:
    found = of_board(chart)
    pod = found["Deployment"]["spec"]["template"]["spec"]

    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(found)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_board_understands_what_it_is_told(chart: Chart) -> None:
    found = of_board(
        chart,
        prefix="/crewcall",
        readOnly=True,
        redact=["phone", "card.number"],
        sessionHours=2,
        trustedProxies=["10.0.0.0/8"],
        redis={
            **REDIS,
            "namespace": "jobs",
            "passwordFrom": {"name": "redis"},
            "caFrom": {"name": "tls", "key": "root.pem"},
        },
    )

    told = settings(found)

    assert (told.secret, told.issuer, told.host, told.port) == (SECRET, None, "0.0.0.0", 8440)
    assert (told.prefix, told.is_read_only, told.redact, told.session_hours, told.trusted_proxies) == (
        "/crewcall",
        True,
        ("phone", "card.number"),
        2,
        ("10.0.0.0/8",),
    )
    redis = told.redis
    assert (redis.redis_url, redis.redis_namespace, redis.redis_password, redis.redis_ca) == (
        REDIS["url"],
        "jobs",
        SECRET,
        "/etc/crewcall/redis-ca/root.pem",
    )
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert container(found)["volumeMounts"][0]["mountPath"] == "/etc/crewcall/redis-ca"
    assert pod["volumes"][0]["secret"]["secretName"] == "tls"


def test_an_issuer_in_place_of_a_secret(chart: Chart) -> None:
    auth = {"issuer": "https://id.example", "audience": "board", "jwksUrl": "https://id.example/keys"}

    told = settings(of_board(chart, auth=auth))

    assert (told.secret, told.issuer) == ("", Issuer("https://id.example", "board", "https://id.example/keys"))


def test_where_secrets_are_is_told_and_never_what_is_in_them(chart: Chart) -> None:
    found = of_board(chart, redis={"urlFrom": {"name": "redis"}}, auth={"secretName": "board", "secretKey": "jwt"})

    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container(found)["env"] if "valueFrom" in one}
    assert secrets == {
        "REDIS_URL": {"name": "redis", "key": "url"},
        "CREWCALL_BOARD_JWT_SECRET": {"name": "board", "key": "jwt"},
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"redis": {}}, "board.redis.url is needed"),
        ({"redis": {**REDIS, "urlFrom": {"name": "redis"}}}, "are both set"),
        ({"auth": {}}, "board.auth.secretName is needed"),
        ({"auth": {"issuer": "https://id.example"}}, "board.auth.audience is needed"),
        ({"auth": {"secretName": "a", "issuer": "https://id.example"}}, "are both set"),
        ({"ingress": {"enabled": True, "tlsSecretName": "tls"}}, "board.ingress.host is needed"),
        ({"prefix": "crewcall"}, "board.prefix|/board/prefix"),
        ({"redact": ["a,b"]}, "redact"),
        ({"trustedProxies": ["everybody"]}, "trustedProxies"),
        ({"trustedProxies": ["abc"]}, "trustedProxies"),
        ({"prefix": "/admin/x"}, "prefix"),
        ({"prefix": "/a/../b"}, "prefix"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_installed(
    chart: Chart, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        chart.render({"board": {**BOARD, **values}})


def test_values_of_a_release_from_before_the_board_are_taken(chart: Chart) -> None:
    assert of_board(chart, enabled=False) == {}
    assert not any("board" in it["metadata"]["name"] for it in chart.render({"board": None}))


def test_an_ingress_leads_its_path_and_no_other_to_the_board(chart: Chart) -> None:
    ingress = {"enabled": True, "className": "nginx", "host": "jobs.example", "tlsSecretName": "tls"}

    spec = of_board(chart, prefix="/crewcall", ingress=ingress)["Ingress"]["spec"]

    backend = {"service": {"name": "crewcall-board", "port": {"name": "http"}}}
    assert spec == {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["jobs.example"], "secretName": "tls"}],
        "rules": [
            {
                "host": "jobs.example",
                "http": {"paths": [{"path": "/crewcall", "pathType": "Prefix", "backend": backend}]},
            }
        ],
    }


def test_without_a_host_the_ingress_takes_whatever_comes(chart: Chart) -> None:
    (rule,) = of_board(chart, ingress={"enabled": True})["Ingress"]["spec"]["rules"]

    assert (set(rule), rule["http"]["paths"][0]["path"]) == ({"http"}, "/")


def test_a_network_policy_bounds_who_comes_and_where_it_goes(chart: Chart) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    egress = [{"ports": [{"port": 6379}]}]
    found = of_board(chart, networkPolicy={"enabled": True, "from": peers, "egress": egress})

    assert found["NetworkPolicy"]["spec"] == {
        "podSelector": found["Deployment"]["spec"]["selector"],
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}], "from": peers}],
        "egress": egress,
    }


def test_every_object_of_it_carries_the_labels_asked_for_in_the_releases_namespace(chart: Chart) -> None:
    switched = {"ingress": {"enabled": True}, "networkPolicy": {"enabled": True}}
    rendered = chart.render({"board": {**BOARD, **switched}, "commonLabels": {"team": "shop"}})
    mine = [one["metadata"] for one in rendered if one["metadata"]["name"] == "crewcall-board"]

    assert [(one["namespace"], one["labels"]["team"]) for one in mine] == [(NAMESPACE, "shop")] * 4


def test_the_longest_name_of_a_release_leaves_room(chart: Chart) -> None:
    rendered = chart.render({"board": BOARD, "fullnameOverride": "x" * 63})

    assert f"{'x' * 57}-board" in {one["metadata"]["name"] for one in rendered}
