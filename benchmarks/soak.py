"""Minutes of everything going wrong at once: does a replica ever move that should not have, and does anything grow?

Two operator processes that elect a leader and have exactly the rights that the chart grants, the test API server with
its controllers, four real Redises (two of them a primary and its replica behind a Sentinel), and 20 pools whose queues
change all the time: most have a backlog to work off, some a promise to keep, and in some the jobs wait in lanes.
Meanwhile every failure that the operator is built for is injected at random (`soak_faults`), from a seed that is
printed; each change of replicas is judged by what was so when it was asked for (`soak_judge`). Then all is mended, and
every pool must come to what its queue asks for. The first operator is never ended, and its memory is watched.

Prints one JSON line. Exits 1 where a change was wrong, a writer did not hold the lease, a pool does not come right,
memory grows, or a traceback is in a log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml
from tests.support.api_cluster import ApiCluster, Capabilities
from tests.support.apiserver import ApiServer
from tests.support.apiserver.access import service_account
from tests.support.apiserver.controller import DEPLOYMENTS
from tests.support.rights import NAMESPACE, RELEASE, granted
from tests.support.sentinel import watched
from tests.support.shop import existing_deployment
from tests.support.succession import Succession
from tests.support.waiting import until

from benchmarks import catalogue
from benchmarks.soak_faults import POOLS, SHIFTED_CLOCK, Faults
from benchmarks.soak_judge import Judge
from benchmarks.soak_load import AWAY, HOME, Redises, change, pools
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

#: Seconds for everything to come right once nothing goes wrong any more, and between two looks at the memory.
SETTLES, SAMPLED_EVERY = 45.0, 2.0
DEFINITION = Path(__file__).parents[1] / "crds" / "workerpool.yaml"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(100_000))
    parser.add_argument("--log", type=Path, default=Path("build/soak.log"), help="where the operators' logs go")
    asked = parser.parse_args()
    with redirect_stdout(sys.stderr):
        print(f"seed {asked.seed}")
        figures = asyncio.run(soak(asked.minutes, Random(asked.seed), asked.log))
    print(json.dumps({"minutes": asked.minutes, "seed": asked.seed, **figures}))
    return catalogue.exit_status("soak", figures)


async def soak(minutes: float, random: Random, log: Path) -> dict[str, Any]:
    """All of it; gives the figures."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mortal = stack.enter_context(EmbeddedRedis(keeps_data=True))
        frosty = stack.enter_context(EmbeddedRedis())
        sentinel = stack.enter_context(watched(folder))
        redises = Redises({"mortal": mortal.port, "frosty": frosty.port}, sentinel)
        clock = stack.enter_context(_clock_that_jumps(folder))
        server = await stack.enter_async_context(ApiServer())
        made = pools(redises)
        judge = Judge({key: subject for key, (_, subject) in made.items()})
        _set_up(server, {key: pool for key, (pool, _) in made.items()}, judge)
        async with ApiCluster(server.url, server.token, Capabilities(has_pods=True, runs_pods=True), server) as cluster:
            await granted(cluster)
        options = (f"--lease={NAMESPACE}/{RELEASE}",)
        succession = Succession(server, folder, stack, options, service_account(NAMESPACE, RELEASE))
        stack.callback(lambda: _write_log(log, judge, succession))
        elder, younger = await succession.start(), await succession.start()
        judge.operators = {elder: "elder", younger: "younger"}
        locks = {name: asyncio.Lock() for name in ("mortal", "frosty", "watched")}
        bodies = {key: pool for key, (pool, _) in made.items()}
        faults = Faults(
            random, server, judge, succession, mortal, frosty, sentinel, clock, elder, younger, locks, bodies
        )
        memory = Memory(succession.operators[elder].process.pid)
        end = time.monotonic() + minutes * 60
        async with asyncio.TaskGroup() as together:
            together.create_task(memory.watch(end))
            for key, subject in judge.subjects.items():
                together.create_task(change(key, subject, redises, locks[subject.redis], random, end))
            for place in faults.places:
                together.create_task(faults.go_wrong(place, end))
        adrift = await _adrift(server, judge)
        for token in succession.operators:
            await succession.operators[token].stop()
        return _figures(minutes, judge, succession, faults, adrift, memory)


def _set_up(server: ApiServer, bodies: dict[tuple[str, str], dict[str, Any]], judge: Judge) -> None:
    server.create("customresourcedefinitions.apiextensions.k8s.io", yaml.safe_load(DEFINITION.read_text()))
    for namespace in (HOME, AWAY, NAMESPACE):
        server.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for key, body in bodies.items():
        if "deploymentRef" in body["spec"]:
            namespace, name = target = judge.subjects[key].target
            server.create(DEPLOYMENTS, existing_deployment(namespace, name, replicas=2))
            judge.replicas[target] = 2
        server.create(POOLS, json.loads(json.dumps(body)))
    server.journal.watchers.append(judge.saw)


async def _adrift(server: ApiServer, judge: Judge) -> list[str]:
    """The pools whose replicas are not what their queues ask for, some time after the last fault."""

    def wrong() -> list[str]:
        found = []
        for key, subject in judge.subjects.items():
            record = server.store.get(DEPLOYMENTS, subject.target)
            replicas = record.object["spec"]["replicas"] if record else None
            least, most = subject.wanted(subject.levels[-1])
            if replicas is None or not least <= replicas <= most:
                found.append(
                    f"{'/'.join(key)} has {replicas} replicas in the end, and its queue asks for {least}-{most}"
                )
        return found

    try:
        await until(lambda: not wrong(), "every pool comes right", SETTLES)
    except AssertionError:
        return wrong()
    return []


def _figures(
    minutes: float, judge: Judge, succession: Succession, faults: Faults, adrift: list[str], memory: Memory
) -> dict[str, Any]:
    lines = [line for it in succession.operators.values() for line in it.log]
    strays = succession.strays()
    print("memory in MB, by tenths of the time:", memory.by_tenths)
    for words in [*judge.wrong, *map(repr, strays), *adrift]:
        print("WRONG", words)
    return {
        "faults": sum(faults.counted.values()),
        "kinds": len(faults.counted),
        "changes": judge.changes,
        "wrong_changes": len(judge.wrong),
        "stray_writes": len(strays),
        "adrift": len(adrift),
        "rss_growth_mb": memory.growth,
        "log_lines_per_min": round(len(lines) / minutes),
        "tracebacks": sum("Traceback" in line for line in lines),
    }


def _write_log(file: Path, judge: Judge, succession: Succession) -> None:
    lines = [f"{judge.operators[token]}: {line}" for token, it in succession.operators.items() for line in it.log]
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines))


@dataclass(slots=True)
class Memory:
    """What a process has resident, in MB, by the fraction of the time that has gone by."""

    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list)

    async def watch(self, end: float) -> None:
        """Look now and then until `end`."""
        began = time.monotonic()
        while (now := time.monotonic()) < end:
            self.samples.append(((now - began) / (end - began), _resident_mb(self.pid)))
            await asyncio.sleep(min(SAMPLED_EVERY, end - now))

    @property
    def growth(self) -> float:
        """From the second tenth of the time to its last fifth."""
        return round(self._usual(0.8, 1.0) - self._usual(0.1, 0.2), 1)

    @property
    def by_tenths(self) -> list[float]:
        return [round(self._usual(tenth / 10, (tenth + 1) / 10), 1) for tenth in range(10)]

    def _usual(self, begin: float, end: float) -> float:
        return statistics.median(mb for at, mb in self.samples if begin <= at < end)


def _resident_mb(pid: int) -> float:
    """From /proc, as proc(5) has it."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1e6


@contextmanager
def _clock_that_jumps(folder: Path) -> Iterator[Path]:
    """Operators that are started within this have a clock on the wall that is off by what is in the file."""
    program = folder / "clock"
    program.mkdir()
    (program / "sitecustomize.py").write_text(SHIFTED_CLOCK)
    (program / "shift").write_text("0")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(program), before]))
    try:
        yield program / "shift"
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


if __name__ == "__main__":
    sys.exit(main())
