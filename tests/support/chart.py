"""The Helm chart as tests see it: rendered to objects, and objects held against the Kubernetes API's own schema.

The schema is that of the `kubernetes` client, whose models are generated from the API's OpenAPI document: they know
each field's name and type and what is required. Rules beyond a schema (a label's length, a port's range) are the API
server's alone.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes.client
import yaml
from tests.support import monitoring

CHART = Path(__file__).parents[2] / "charts" / "crewcall"
NAMESPACE = "ops"
RELEASE = "crewcall"


class Refused(Exception):
    """Helm would not render the chart with these values; the text is Helm's."""


class Chart:
    """The chart, rendered by a real helm as the release `crewcall` in the namespace `ops`."""

    def __init__(self, helm: Path) -> None:
        self._helm = helm

    def lint(self) -> str:
        return self._run("lint", "--strict", str(CHART))

    def render(self, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Every object that a release with `values` consists of. Raises `Refused`."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values or {}), file)
            file.flush()
            text = self._run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", file.name)
        return [rendered for rendered in yaml.safe_load_all(text) if rendered is not None]

    def render_one(self, kind: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The only object of its kind."""
        (found,) = (rendered for rendered in self.render(values) if rendered["kind"] == kind)
        return found

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([str(self._helm), *arguments], check=False, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return done.stdout


def check_schema(rendered: Mapping[str, Any]) -> None:
    """Raises ValueError where `rendered` has a field that its kind has not, a wrong type, or lacks a required field."""
    if rendered["apiVersion"].startswith(monitoring.GROUP):
        monitoring.check(rendered)
        return
    model = getattr(kubernetes.client, f"V1{rendered['kind']}")
    understood = model.model_validate(rendered).model_dump(by_alias=True, exclude_none=True)
    # The models also take names_like_this, which the API server does not: what was understood must be what was said.
    if understood != _without_nulls(rendered):
        raise ValueError(f"{rendered['kind']}: understood as {understood!r}; written as {rendered!r}")


def _without_nulls(value: Any) -> Any:
    """A field that is null is one that there is not."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
