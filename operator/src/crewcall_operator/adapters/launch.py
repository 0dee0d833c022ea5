"""What a pool's pod template says to run, as a program on this machine.

Of the template only the worker's container counts, and of that `command`, `args`, `env` and `workingDir`: the image is
replaced by this installation. Without a `command` it is the worker image's entry point, `crewcall-worker run`
(Dockerfile.worker). How command, args and $(VARIABLE) work:
https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crewcall_operator.api import deployment
from crewcall_operator.api.pool import Pool
from crewcall_operator.errors import InvalidSpec, Problem
from crewcall_worker import wire

ENTRY_POINT: Final = ("crewcall-worker", "run")


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to start for each replica. `grace_period` is in seconds, between SIGTERM and SIGKILL."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    grace_period: float

    def environment_of(self, worker: str) -> dict[str, str]:
        """What the process of that name is given; as a pod does, it learns its own name."""
        return {wire.ENV_POD: worker, **self.environment}


def launch_of(pool: Pool, inherited: Mapping[str, str], directory: Path) -> Launch:
    """How to run a worker of `pool`, in `inherited` environment and `directory` where the template says nothing else.

    Raises `InvalidSpec` with all of it that this machine cannot run.
    """
    container = deployment.worker_container(pool)
    if container is None:
        raise InvalidSpec([Problem("spec.deploymentRef", pool.deployment_ref, _NO_CLUSTER)])
    variables = _variables(pool, container, inherited)
    command = [*(container.get("command") or ENTRY_POINT), *(container.get("args") or ())]
    arguments = tuple(_expand(argument, variables) for argument in command)
    where = directory / str(container.get("workingDir", ""))
    impossible = list(_impossible(arguments, container))
    missing = [] if impossible else list(_not_here(arguments[0], variables["PATH"], where))
    problems = [*_unanswered(container, inherited), *impossible, *missing]
    if problems:
        raise InvalidSpec(problems)
    return Launch(arguments, variables, where, deployment.grace_period(pool))


def _variables(pool: Pool, container: Mapping[str, Any], inherited: Mapping[str, str]) -> dict[str, str]:
    variables = {**inherited, **deployment.environment(pool)}
    variables.pop(wire.ENV_POD, None)
    # This installation's programs first; and a log that is followed shows a line when it is written.
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables.get("PATH", os.defpath)])
    variables.setdefault("PYTHONUNBUFFERED", "1")
    for variable in container.get("env") or ():
        if "valueFrom" not in variable:
            variables[variable["name"]] = _expand(variable.get("value") or "", variables)
    # The Redis in use here, whatever the template says of the cluster's.
    variables[wire.ENV_REDIS_URL] = pool.redis.url
    return variables


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """$(NAME) by its value where there is one, $$ by a dollar sign, all else as it is."""
    return re.sub(
        r"\$\$|\$\(([^)]+)\)",
        lambda found: "$" if found[0] == "$$" else variables.get(found[1], found[0]),
        text,
    )


def _unanswered(container: Mapping[str, Any], inherited: Mapping[str, str]) -> Iterator[Problem]:
    for variable in container.get("env") or ():
        name = variable["name"]
        if "valueFrom" in variable and name not in {*inherited, wire.ENV_POD}:
            yield Problem(f"spec.template: env {name}: valueFrom", None, _NO_VALUE.format(name=name))


def _impossible(arguments: Sequence[str], container: Mapping[str, Any]) -> Iterator[Problem]:
    if any("\0" in argument for argument in arguments):
        yield Problem("spec.template: command", None, "must not hold a zero byte")
    for variable in container.get("env") or ():
        if not variable["name"] or "=" in variable["name"] or "\0" in f"{variable['name']}{variable.get('value')}":
            yield Problem("spec.template: env", variable["name"], "must be a name without = and zero bytes")


def _not_here(program: str, path: str, directory: Path) -> Iterator[Problem]:
    if not directory.is_dir():
        yield Problem("spec.template: workingDir", str(directory), "must be a directory of this machine")
    elif "/" in program:
        # As a kubelet's runtime and `subprocess` have it: what is no bare name is looked for from the workingDir.
        if shutil.which(directory / program) is None:
            yield Problem("spec.template: command", program, f"must be a program of this machine; {directory} has none")
    elif shutil.which(program, path=path) is None:
        yield Problem("spec.template: command", program, "must be a program of this machine; it is not on the PATH")


_NO_CLUSTER = "there is no cluster that could have it. Give spec.template, whose container is run as a process"
_NO_VALUE = "cannot be read without a cluster. Set {name} in the environment of this command"
