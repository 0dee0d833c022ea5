"""A real cluster for the end-to-end tests, as kubectl and helm reach it; all that a test makes is in one namespace.

The cluster is the one that KUBECONFIG names. It must have the images of `scripts/images`, or be able to pull them.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

COMMAND_TIMEOUT_S = 300
LOOK_EVERY_S = 0.1

Found = TypeVar("Found")


class Cluster:
    """One namespace of a cluster."""

    def __init__(self, kubectl: Path, helm: Path, namespace: str) -> None:
        self._kubectl = kubectl
        self._helm = helm
        self.namespace = namespace

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return _run(self._kubectl, "--namespace", self.namespace, *arguments, text=text)

    def helm(self, *arguments: str) -> str:
        return _run(self._helm, "--namespace", self.namespace, *arguments)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        self.kubectl("apply", "--filename", "-", text=yaml.safe_dump(dict(manifest)))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output", "json"))
        return found

    def list(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        found = json.loads(self.kubectl("get", kind, "--selector", selector, "--output", "json"))
        return list(found["items"])

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A port of 127.0.0.1 that leads to `port` of `target`, such as service/redis."""
        command = [str(self._kubectl), "--namespace", self.namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                told = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ", line)
                assert told, f"kubectl port-forward said {line!r}"
                yield int(told[1])
            finally:
                process.terminate()


def eventually(look: Callable[[], Found | None], what: str, within: float) -> Found:
    """The first thing found that is true. Fails after `within` seconds without one, saying `what` was waited for."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(LOOK_EVERY_S)
    return found


def _run(tool: Path, *arguments: str, text: str | None = None) -> str:
    command = [str(tool), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=text, timeout=COMMAND_TIMEOUT_S)
    assert done.returncode == 0, f"{tool.name} {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
    return done.stdout
