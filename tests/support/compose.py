"""The Compose files as Compose reads them: variables put in, anchors followed, checked against the specification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


class NotSet(Exception):
    """A variable without which the file asks not to be used."""


def read(name: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A file of the repository's root. Raises `NotSet`, and `ValueError` where it is against the specification."""
    text = filled((ROOT / name).read_text(encoding="utf-8"), variables or {})
    project: dict[str, Any] = yaml.safe_load(text)
    # With anchors followed: the parser knows none.
    PyCompose.from_yaml(yaml.safe_dump(project)).validate()
    return project


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """What a service's container is told: of the env files that have to be there the later one has the last word, and
    `environment` comes before all of them."""
    lines = [
        line
        for file in service.get("env_file", ())
        if isinstance(file, str)
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return {**dict(line.split("=", 1) for line in lines), **service.get("environment", {})}


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables; Compose's other notations are not used here, and are left as they are."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, kind, words = found.groups()
        if told := variables.get(name):
            return told
        if kind == "?":
            raise NotSet(f"{name}: {words}")
        return str(words or "")

    return VARIABLE.sub(value, text)


def seconds(duration: str) -> float:
    """A duration in Compose's notation of one unit: 30s, 2m."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]
