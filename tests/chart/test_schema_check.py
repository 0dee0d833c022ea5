"""The tests' own check of rendered objects finds what it is there to find."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.chart import check_schema


def test_lets_a_right_object_pass() -> None:
    check_schema(_service(port=80))


@pytest.mark.parametrize(
    ("port", "complaint"),
    [
        ({"port": 80, "tragetPort": "http"}, "spec.ports.0.tragetPort"),
        ({"port": "80"}, "spec.ports.0.port"),
        ({"name": "http"}, "spec.ports.0.port"),
        ({"port": 80, "target_port": "http"}, "'targetPort': 'http'"),
    ],
    ids=["unknown field", "wrong type", "required field missing", "the client's own spelling"],
)
def test_finds_what_the_api_would_refuse(port: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_schema(_service(**port))


def test_finds_what_the_prometheus_operator_would_refuse() -> None:
    def monitor(**endpoint: Any) -> dict[str, Any]:
        return {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": "a"},
            "spec": {"selector": {}, "endpoints": [endpoint]},
        }

    check_schema(monitor(port="http", interval="15s"))
    for wrong in ({"prot": "http"}, {"interval": "soon"}, {"honorLabels": "yes"}):
        with pytest.raises(ValueError, match=r"ServiceMonitor: \$\.spec\.endpoints\[0\]"):
            check_schema(monitor(**wrong))


def _service(**port: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [port]}}
