"""The operator as its users run it: a process of its own, told of its cluster by a kubeconfig."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import DEADLINE
from tests.support.waiting import until as wait

#: What it logs when it is.
WATCHING = "watching WorkerPools"

#: Seconds within which an operator must be watching, on a busy machine.
START = DEADLINE

#: Seconds that kopf waits for what it takes for tasks of its own. An operator that leaves sooner has not waited for it,
#: nor for anything else that hangs: left alone it is gone in a tenth of a second.
KOPF_WAITS = 5.0


@dataclass(slots=True)
class RunningOperator:
    """A `crewcall operator` process. `log` grows as it speaks; `address` is where it serves its metrics."""

    process: asyncio.subprocess.Process
    address: str = ""
    log: list[str] = field(default_factory=list)

    async def stop(self) -> int:
        """Ask it to stop, as a pod's end would; gives its exit status. Raises `TimeoutError` where it does not."""
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(START):
            return await self.process.wait()


@asynccontextmanager
async def operating(kubeconfig: Path, *options: str, until: str = WATCHING) -> AsyncIterator[RunningOperator]:
    """An operator that runs while the block does, which begins once the operator has logged `until`."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("crewcall")),
        "operator",
        "--listen=127.0.0.1:0",
        *options,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stderr=asyncio.subprocess.PIPE,
    )
    running = RunningOperator(process)
    listening = asyncio.create_task(_listen(running))
    try:
        await wait(lambda: until in "\n".join(running.log) or listening.done(), f"{until!r} from the operator", START)
        assert until in "\n".join(running.log), running.log
        yield running
    finally:
        try:
            await running.stop()
        finally:
            if process.returncode is None:
                process.kill()
            await listening


async def _listen(running: RunningOperator) -> None:
    assert running.process.stderr is not None
    async for line in running.process.stderr:
        text = line.decode().rstrip()
        running.log.append(text)
        if found := re.search(r"on http://(\S+)", text):
            running.address = found[1]
