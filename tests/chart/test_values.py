"""The chart's values: each documented, each typed, and a wrong one answered before anything is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml
from tests.support.chart import CHART, Chart, Refused

VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
#: With defaults inside, and yet one value each: Kubernetes says what may be in them.
FREE = {("resources",), ("podSecurityContext",), ("board", "resources")}
#: What a release from before it does not have: it is off there.
LATER = {("board",)}
#: Such defaults are none.
EMPTY: tuple[Any, ...] = ("", None, {}, [])


def test_every_value_is_in_the_schema_and_every_one_there_has_a_default() -> None:
    schema = json.loads(SCHEMA.read_text())
    del schema["properties"]["global"]  # Helm's own, handed down to subcharts

    assert set(_schema_paths(schema)) == set(_value_paths(yaml.safe_load(VALUES.read_text())))


def test_the_defaults_satisfy_the_schema() -> None:
    jsonschema.validate(yaml.safe_load(VALUES.read_text()), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"watchNamespace": ["shop"]}, "watchNamespace"),
        ({"watchNamespaces": "shop"}, "watchNamespaces"),
        ({"watchNamespaces": ["Shop"]}, "watchNamespaces.0"),
        ({"operator": {"interval": 0}}, "operator.interval"),
        ({"operator": {"interval": "0.04"}}, "operator.interval"),
        ({"operator": {"interval": "60.1"}}, "operator.interval"),
        ({"operator": {"interval": "1s"}}, "operator.interval"),
        ({"operator": {"logFormat": "xml"}}, "operator.logFormat"),
        ({"image": {"digest": "sha256:abc"}}, "image.digest"),
        ({"service": {"port": 65536}}, "service.port"),
        ({"commonLabels": {"team": "a b"}}, "commonLabels.team"),
        ({"podLabels": {"a team": "b"}}, "a team"),
        ({"fullnameOverride": "1-Crewcall"}, "fullnameOverride"),
        ({"image": {"tag": "a:b"}}, "image.tag"),
        ({"priorityClassName": "Very High"}, "priorityClassName"),
        ({"resources": {"limit": {"memory": "1Gi"}}}, "limit"),
        ({"networkPolicy": {"from": {}}}, "networkPolicy.from"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is needed"),
        ({"operator": None}, "missing property 'operator'"),
        ({"operator": {"leaderElection": None}}, "operator.*missing property 'leaderElection'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(chart: Chart, values: dict[str, Any], named: str) -> None:
    # Helm's words changed from one release to the next, and so did a path's separator: hence a pattern.
    with pytest.raises(Refused, match=named):
        chart.render(values)


def test_a_value_that_is_set_to_null_is_refused_where_a_default_would_be_lost() -> None:
    """Helm takes out what is null, and its default with it."""
    defaults, judge = yaml.safe_load(VALUES.read_text()), jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    paths = {path[:end] for path in _value_paths(defaults) for end in range(1, len(path) + 1)}

    refused = {path for path in paths if not judge.is_valid(_changed(defaults, path))}

    assert refused == {path for path in paths - FREE - LATER if _at(defaults, path) not in EMPTY}


def test_a_value_without_a_default_may_be_null(chart: Chart) -> None:
    defaults = yaml.safe_load(VALUES.read_text())
    paths = list(_value_paths(defaults))
    needed = {
        "redis": {"url": "redis://redis:6379/0"},
        "auth": {"secretName": "board"},
        "ingress": {"host": "a.example"},
    }
    everything: dict[str, Any] = {
        path[0]: {"enabled": True} for path in paths if path[-1] == "enabled" and path[2:] == ()
    }
    everything["board"] |= needed
    nulls = everything
    for path in set(paths) - set(_value_paths(everything)):
        if _at(defaults, path) in EMPTY:
            nulls = _changed(nulls, path, None)

    assert chart.render(nulls) == chart.render(everything)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    return _at(values[path[0]], path[1:]) if path else values


def _changed(values: Mapping[str, Any], path: tuple[str, ...], *value: Any) -> dict[str, Any]:
    """The values with another one at this path, or without any there."""
    first, *rest = path
    others = {name: it for name, it in values.items() if name != first}
    if rest:
        return others | {first: _changed(values.get(first, {}), tuple(rest), *value)}
    return others | dict.fromkeys([first], *value) if value else others


def _value_paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every value; what the user fills freely (an empty mapping, a part of a Pod's spec) counts as one."""
    for name, value in values.items():
        path = (*above, name)
        if isinstance(value, dict) and value and path not in FREE:
            yield from _value_paths(value, path)
        else:
            yield path


def _schema_paths(schema: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, part in schema["properties"].items():
        path = (*above, name)
        if "properties" in part and path not in FREE:
            yield from _schema_paths(part, path)
        else:
            yield path


@pytest.mark.parametrize("interval", ["0.05", "0.5", ".5", "1.25", "9", "60", "60.0"])
def test_helms_set_makes_text_of_a_fraction_and_that_is_as_good_as_the_number(chart: Chart, interval: str) -> None:
    told = [chart.render_one("Deployment", {"operator": {"interval": it}}) for it in (interval, float(interval))]
    arguments = [one["spec"]["template"]["spec"]["containers"][0]["args"] for one in told]

    assert [float(it.partition("=")[2]) for args in arguments for it in args if it.startswith("--interval=")] == [
        float(interval)
    ] * 2
