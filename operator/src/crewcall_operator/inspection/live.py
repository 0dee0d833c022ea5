"""`crewcall top` on a terminal: the table drawn anew with each look; a look that fails is said and tried again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from crewcall_operator.inspection.cluster import CannotLook, Cluster
from crewcall_operator.inspection.listing import rows, table


async def print_once(cluster: Cluster, namespace: str | None, console: Console) -> None:
    """Every pool, however many. Raises `CannotLook`."""
    found = rows(await cluster.pools(namespace))
    if not found:
        console.print(none_in(namespace), soft_wrap=True)
        return
    height = len(found) + 4
    drawn = table(found, datetime.now(UTC), console.width, height, all_namespaces=namespace is None)
    console.print(drawn, soft_wrap=True)


def none_in(namespace: str | None) -> str:
    """What is said where there is no pool."""
    where = "any namespace" if namespace is None else f"namespace {namespace}; -A looks in all"
    return f"There are no WorkerPools in {where}."


async def watch(cluster: Cluster, namespace: str | None, console: Console, interval: float) -> None:
    """Until cancelled. Raises `CannotLook` where the very first look fails."""
    found = rows(await cluster.pools(namespace))
    trouble = ""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            width, height = console.size
            drawn = table(found, datetime.now(UTC), width, height - 2, all_namespaces=namespace is None)
            footer = Text(trouble or "Ctrl-C ends it; crewcall explain POOL says why", "red" if trouble else "dim")
            footer.truncate(width, overflow="ellipsis")
            live.update(Text("\n", no_wrap=True).join([drawn, Text(), footer]), refresh=True)
            await asyncio.sleep(interval)
            try:
                found, trouble = rows(await cluster.pools(namespace)), ""
            except CannotLook as error:
                trouble = str(error)
