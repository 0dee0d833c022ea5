"""The operator as its users run it: a process of its own, told of its cluster by a kubeconfig."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

#: Seconds within which an operator must be watching, on a busy machine.
START = 30.0


def write_kubeconfig(folder: Path, url: str, token: str) -> Path:
    """A kubeconfig for the API server at `url`, in `folder`."""
    file = folder / "kubeconfig"
    named = {"name": "test"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{**named, "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{**named, "cluster": {"server": url}}],
        "users": [{**named, "user": {"token": token}}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


@dataclass(slots=True)
class RunningOperator:
    """A `crewcall operator` process. `log` grows as it speaks; `address` is where it serves its metrics."""

    process: asyncio.subprocess.Process
    address: str = ""
    log: list[str] = field(default_factory=list)

    async def stop(self) -> int:
        """Ask it to stop, as a pod's end would; gives its exit status."""
        if self.process.returncode is None:
            self.process.terminate()
        return await self.process.wait()


@asynccontextmanager
async def operating(kubeconfig: Path, *options: str) -> AsyncIterator[RunningOperator]:
    """An operator that watches the cluster while the block runs."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("crewcall")),
        "operator",
        "--listen=127.0.0.1:0",
        *options,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stderr=asyncio.subprocess.PIPE,
    )
    running = RunningOperator(process)
    is_watching = asyncio.Event()
    listening = asyncio.create_task(_listen(running, is_watching))
    try:
        await until(is_watching.is_set, "the operator is watching")
        yield running
    finally:
        await running.stop()
        await listening


async def until(is_so: Callable[[], object], what: str, within: float = START) -> None:
    """Wait until `is_so`. Raises TimeoutError, naming `what` was waited for, after `within` seconds."""
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s: {what}")
        await asyncio.sleep(0.01)


async def _listen(running: RunningOperator, is_watching: asyncio.Event) -> None:
    assert running.process.stderr is not None
    async for line in running.process.stderr:
        text = line.decode().rstrip()
        running.log.append(text)
        if found := re.search(r"on http://(\S+)", text):
            running.address = found[1]
        if "watching WorkerPools" in text:
            is_watching.set()
    is_watching.set()
