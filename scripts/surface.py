"""docs/reference/surface.md, all that others build on: `make reference` writes it, a test holds it to the code.

Commands are read from click, Python's names from the modules that applications may import, keys from what makes them.
What has a page of its own (the WorkerPool, the chart, metrics, environments, the board's API) is named, not repeated.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import click
from pydantic import BaseModel

from crewcall_operator.cli import main as crewcall
from crewcall_worker import queues, wire
from crewcall_worker.cli import main as crewcall_worker

HEAD = """\
# Reference: what others build on

All that a change may break for somebody; written by `make reference`. Until 1.0 a minor version may change it, and the
[changelog](../../CHANGELOG.md) says so. What is not named here is no promise.

| Surface | Where it is listed |
| --- | --- |
| the WorkerPool | [every field](workerpool.md), `crewcall.dev/v1alpha1` |
| the chart | [every value](values.md) |
| metrics and alerts | [metrics](../metrics.md), [runbooks](../runbooks/README.md) |
| a worker's environment | [of jobs and workers](../jobs/environment.md) |
| the board's environment and API | [settings](../board/settings.md), [API](../board/api.md) |
| commands, Python, keys in Redis | below |
"""

WIRE = """\
## Redis

The keys of the namespace `dramatiq`, Dramatiq's own among them; the type of each, and what is in it, is told in
[`wire/keys.py`](../../worker/src/crewcall_worker/wire/keys.py).
"""

#: What applications import, beside all that `crewcall_worker.queues` has under its own name.
MODULES = (
    "crewcall_worker.broker",
    *(f"crewcall_worker.queues.{name}" for name in (
        "dead_letters", "delayed_jobs", "drains", "limits", "pauses", "pins", "removal", "schedules", "views",
    )),
    "crewcall_jobs.alerts.payload",
    "crewcall_jobs.email.payload",
    "crewcall_jobs.rules.payload",
    "crewcall_jobs.sms.payload",
)  # fmt: skip


def surface_page() -> str:
    """Commands and options, Python's names and signatures, the names of keys."""
    parts = [HEAD, "## Commands", ""]
    parts += _commands(crewcall, "crewcall")
    parts += _commands(crewcall_worker, "crewcall-worker")
    parts += ["", "## Python", "", "### `crewcall_worker.queues`", "", "```python"]
    parts += [line for name in queues.__all__ for line in _thing(name, getattr(queues, name))]
    parts += ["```"]
    for name in MODULES:
        parts += ["", f"### `{name}`", "", "```python", *_module(import_module(name)), "```"]
    parts += ["", WIRE, "```text", *_keys(wire.Keys()), "```", "", "What is written in them, as JSON:", "", "```python"]
    records = [(name, getattr(wire, name)) for name in wire.__all__ if name != "Keys"]
    parts += [line for name, thing in records if not isinstance(thing, FunctionType) for line in _thing(name, thing)]
    return "\n".join([*parts, "```", ""])


def _commands(command: click.Command, path: str) -> Iterator[str]:
    """A line for each command, its arguments and options."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield f"- `{' '.join([path, *map(_parameter, command.params)])}`"
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(inner, f"{path} {name}")


def _parameter(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(click.Context(click.Command("")))
    name = "/".join(["|".join(parameter.opts), *parameter.secondary_opts])
    if not isinstance(parameter, click.Option) or parameter.hidden or parameter.is_flag:
        return f"[{name}]"
    option = f"{name} {parameter.make_metavar(click.Context(click.Command('')))}"
    return option if parameter.required else f"[{option}]"


def _module(module: ModuleType) -> Iterator[str]:
    """What a module itself defines for others."""
    for name, thing in vars(module).items():
        is_own = getattr(thing, "__module__", module.__name__) == module.__name__
        if is_own and not name.startswith("_") and isinstance(thing, type | FunctionType):
            yield from _thing(name, thing)


def _thing(name: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, FunctionType):
        yield f"def {name}{_signature(thing)}"
    elif isinstance(thing, type):
        yield from _class(name, thing)
    else:
        yield f"{name} = {thing!r}" if _is_plain(thing) else name


def _class(name: str, kind: type) -> Iterator[str]:
    yield f"class {name}{_bases(kind)}"
    if issubclass(kind, Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in kind)
        return
    members = {} if issubclass(kind, BaseException) else vars(kind)
    if is_dataclass(kind) or issubclass(kind, BaseModel) or issubclass(kind, tuple):
        yield from (f"    {field}: {type_}" for field, type_ in inspect.get_annotations(kind).items())
    elif "__init__" in members:
        yield f"    def __init__{_signature(members['__init__'])}"
    for member, thing in members.items():
        if member.startswith("_"):
            continue
        if isinstance(thing, property) and thing.fget is not None:
            yield f"    {member}: {inspect.signature(thing.fget).return_annotation}"
        elif isinstance(thing, classmethod | staticmethod | FunctionType):
            function = getattr(kind, member)
            word = "async def" if inspect.iscoroutinefunction(function) else "def"
            yield f"    {word} {member}{_signature(function)}"


def _bases(kind: type) -> str:
    bases = [base.__name__ for base in kind.__bases__ if base is not object]
    return f"({', '.join(bases)})" if bases else ""


def _signature(function: Callable[..., Any]) -> str:
    """As it is written, without quotes around types; a default that is an object is "..."."""
    told = inspect.signature(function)
    some = [
        one if _is_plain(one.default) or one.default is one.empty else one.replace(default=_Object(one.default))
        for one in told.parameters.values()
    ]
    words = str(told.replace(parameters=some))
    return re.sub(r": '([^']*)'|-> '([^']*)'", lambda it: f": {it[1]}" if it[1] else f"-> {it[2]}", words)


class _Object:
    """A default that is no plain value: an enum's member by its name, of others that there is one."""

    def __init__(self, default: object) -> None:
        self._default = default

    def __repr__(self) -> str:
        default = self._default
        return f"{type(default).__name__}.{default.name}" if isinstance(default, Enum) else "..."


def _is_plain(value: object) -> bool:
    """Whether its repr tells all, in one line."""
    is_plain = isinstance(value, str | int | float | tuple | None) and not isinstance(value, Enum)
    return is_plain and "\n" not in str(value)


def _keys(keys: wire.Keys) -> Iterator[str]:
    for name, thing in vars(wire.Keys).items():
        if name.startswith("_") or name in ("namespace", "prefix"):
            continue
        if isinstance(thing, FunctionType):
            yield getattr(keys, name)(*(f"<{word}>" for word in list(inspect.signature(thing).parameters)[1:]))
        elif isinstance(thing, property):
            yield getattr(keys, name)
