"""WorkerPools from files: every document of every file, or everything that is wrong with them.

What a pool may say is `api.spec`'s part; this adds what only a file can get wrong, and what a machine without a
cluster cannot do. Documents of other kinds, such as the Namespace in front of a pool, are left to the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from crewcall_operator.api.names import KIND
from crewcall_operator.api.pool import Pool, PoolKey, RedisSource
from crewcall_operator.api.spec import read_pool
from crewcall_operator.errors import CrewcallError, InvalidSpec


class BadFiles(CrewcallError):
    """Files that cannot be run, with a line for every problem."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def read_pools(files: Sequence[Path], check: Callable[[Pool], object]) -> tuple[Pool, ...]:
    """The pools that `files` describe; `check` raises `InvalidSpec` for one that cannot run here. Raises `BadFiles`."""
    pools: dict[PoolKey, Pool] = {}
    problems: list[str] = []
    for file in files:
        for resource in _workerpools(file, problems):
            try:
                pool = read_pool(resource)
                check(pool)
            except InvalidSpec as error:
                problems += [f"{file}: workerpool {_name(resource)}: {problem}." for problem in error.problems]
                continue
            if pool.key in pools:
                problems.append(f"{file}: workerpool {pool.key} has been described before. Rename or remove one.")
            # Nobody here gives out UIDs; no two pools have one key.
            pools[pool.key] = replace(pool, uid=str(pool.key))
    if problems:
        raise BadFiles(problems)
    return tuple(pools.values())


def on_redis(pool: Pool, url: str) -> Pool:
    """The same pool on another Redis than its cluster's."""
    return replace(pool, redis=RedisSource(url, pool.redis.namespace))


def _workerpools(file: Path, problems: list[str]) -> Iterator[dict[str, Any]]:
    kinds: list[str] = []
    try:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document is None:
                continue
            if not isinstance(document, dict):
                problems.append(f"{file}: holds {type(document).__name__} where a WorkerPool's fields are expected.")
                return
            kinds.append(str(document.get("kind", KIND)))
            if kinds[-1] == KIND:
                yield document
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        problems.append(f"{file}: is not text in UTF-8.")
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # PyYAML lets out what a value's own constructor raises: a date that is none, a number that is none.
        problems.append(f"{file}: is not YAML: {' '.join(str(error).split())}.")
    else:
        if KIND not in kinds:
            found = f"only {', '.join(kinds)}. Add one" if kinds else "it is empty. Describe one in it"
            problems.append(f"{file}: has no WorkerPool: {found}, as examples/workerpool.yaml does.")


def _name(resource: dict[str, Any]) -> str:
    metadata = resource.get("metadata")
    if not isinstance(metadata, dict):
        return "without a name"
    return f"{metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
