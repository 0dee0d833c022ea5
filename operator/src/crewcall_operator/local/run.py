"""The composition of `crewcall local`: the operator's engine with processes for pods, from start to drained.

The same Engine, RedisQueues and decisions as in a cluster; only the scaler and the reporter are others. The clock and
the environment are read here and nowhere else on this side.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from crewcall_operator.adapters.board_process import BoardProcess
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.launch import launch_of
from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_operator.adapters.processes import ProcessScaler
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_history import RedisHistory
from crewcall_operator.adapters.redis_orders import RedisOrders
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.engine import Engine
from crewcall_operator.foreman import Foreman
from crewcall_operator.local.files import on_redis, read_pools
from crewcall_operator.local.frame import Frame, Workers
from crewcall_operator.local.history import History
from crewcall_operator.local.names import names_of
from crewcall_operator.local.stop import Stop
from crewcall_operator.local.view import LiveView, PlainView, View

REFRESH = 0.25
#: Seconds that a worker is thought to take to its first job until that was seen.
STARTUP = 2.0


@dataclass(frozen=True, slots=True)
class Running:
    """A run as others see it: the Redis' URL, what happened so far, the workers there are, and the board if any."""

    url: str
    history: History
    workers: Workers
    board: BoardProcess | None = None


Beside = Callable[[Running], Coroutine[Any, Any, None]]
"""What runs beside the pools; the run ends when it returns."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for: `interval` in seconds, `redis_url` None for an embedded Redis, `board_port` None for any."""

    files: tuple[Path, ...]
    redis_url: str | None = None
    interval: float = 0.5
    is_plain: bool = False
    has_board: bool = False
    board_port: int | None = None


@dataclass(frozen=True, slots=True)
class _Redis:
    url: str
    name: str


async def until_stopped(_: Running) -> None:
    """Nothing beside the pools: the run ends with a signal."""
    await asyncio.Event().wait()


async def run(options: Options, console: Console, beside: Beside = until_stopped) -> int:
    """Run the pools in `options.files` and show them on `console`, until all is drained and gone.

    The exit status: 0, or as a shell has it (128 and the signal's number) where a second signal killed the workers.

    Raises `BadFiles`, `EmbeddedRedisFailed`, `PortTaken`, and what `beside` raises.
    """
    pools = read_pools(options.files, check=lambda pool: launch_of(pool, os.environ, Path.cwd()))
    # Signals first: from here on none of them ends this process before all that it has started has ended.
    with Stop() as stop, Lifeline() as lifeline, _redis(options.redis_url, lifeline) as redis, _logs() as logs:
        history = History(time.monotonic)
        scaler = ProcessScaler(os.environ, Path.cwd(), logs, lifeline, history.happened, time.monotonic)
        stop.again = scaler.kill
        names = names_of(pool.key for pool in pools)
        namespace, log = pools[0].redis.namespace, logs / "board.log"
        with (
            BoardProcess(redis.url, namespace, os.environ, log, lifeline, options.board_port)
            if options.has_board
            else nullcontext() as board,
            _view(options, console, redis, logs, history, scaler, names, board) as view,
        ):
            refreshing = asyncio.create_task(_refresh(view, scaler, stop, board))
            try:
                running = Running(redis.url, history, scaler.workers, board)
                await _scale([on_redis(pool, redis.url) for pool in pools], options, scaler, stop, beside, running)
            finally:
                stop.request()
                await scaler.close()
                refreshing.cancel()
                view.refresh("Drained; no worker is left.")
    return 0 if stop.insisted is None else 128 + stop.insisted


async def _scale(
    pools: Sequence[Pool], options: Options, scaler: ProcessScaler, stop: Stop, beside: Beside, running: Running
) -> None:
    reader, orders = RedisQueues(time.time), RedisOrders(gone_silent_ms=0)  # a process that has ended is dead at once
    foreman, told = Foreman(orders, time.monotonic), RedisHistory(time.monotonic)
    engine = Engine(reader, scaler, (running.history, told), time.monotonic, foreman, time.time, startup=STARTUP)
    for pool in pools:
        engine.put(pool)
    try:
        hints = RedisHints(lambda: engine.pools, engine.hint)
        await _until_first(
            engine.run(options.interval),
            hints.run(),
            told.run(),
            beside(running),
            stop.wait(),
        )
    finally:
        await reader.aclose()
        await orders.aclose()
        for pool in pools:
            told.forget(pool.key)  # no other engine takes them over, as in a cluster
        await told.flush()
        await told.aclose()


async def _until_first(*all_of: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends; raise what it raised."""
    tasks = [asyncio.create_task(one) for one in all_of]
    ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in ended:
        task.result()


@contextmanager
def _redis(url: str | None, lifeline: Lifeline) -> Iterator[_Redis]:
    if url is not None:
        yield _Redis(url, "a Redis that was there")
        return
    with EmbeddedRedis(lifeline=lifeline) as server:
        yield _Redis(server.url, server.describe())


@contextmanager
def _logs() -> Iterator[Path]:
    """A new directory, which stays where workers have written to it."""
    directory = Path(tempfile.mkdtemp(prefix="crewcall-local-"))
    yield directory
    with suppress(OSError):  # not empty
        directory.rmdir()


def _view(
    options: Options,
    console: Console,
    redis: _Redis,
    logs: Path,
    history: History,
    scaler: ProcessScaler,
    names: Mapping[PoolKey, str],
    board: BoardProcess | None,
) -> View:
    shown_url = re.sub(r"//.*@", "//***@", redis.url)  # it may hold a password
    title = [f"Crewcall local · {redis.name}", f"REDIS_URL={shown_url}", f"The workers' output is in {logs}"]
    if board is not None:
        title.append(f"Board {board.address}")
    if console.is_terminal and not console.is_dumb_terminal and not options.is_plain:
        return LiveView(console, Frame(title, history, scaler.workers, _wall, names), time.monotonic)
    view = PlainView(console, title, _wall, names)
    history.follow = view.follow
    return view


async def _refresh(view: View, scaler: ProcessScaler, stop: Stop, board: BoardProcess | None) -> None:
    while True:
        failure = None if board is None else board.has_failed
        missing = "" if failure is None else f" There is no board: {failure}"
        left = scaler.count()
        workers = "1 worker" if left == 1 else f"{left} workers"
        doing = (
            f"Draining {workers}; Ctrl-C again kills." if stop.is_requested else "Ctrl-C drains the workers and stops."
        )
        view.refresh(doing + missing)
        await asyncio.sleep(REFRESH)


def _wall(at: float) -> float:
    return time.time() - (time.monotonic() - at)
