"""The command `crewcall record`: its options, and its errors in words. What it runs is imported only when it is run."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crewcall_operator.redis_url import check_redis_url
from crewcall_operator.simulation.command import read_pool
from crewcall_operator.simulation.options import Duration, check_writable

if TYPE_CHECKING:
    from crewcall_operator.adapters.redis_traces import RedisTraces
    from crewcall_operator.api.pool import Pool
    from crewcall_operator.simulation.recording import Recording

#: Seconds between two looks, and between two lines where this is no terminal.
EVERY, LINE_EVERY = 1.0, 10.0

#: Seconds after which workers have written what had ended when the recording was stopped.
WRITTEN_AFTER = 1.5


@click.command(short_help="Take a trace of jobs from a pool that runs.")
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), required=True, metavar="FILE",
    help="A file of one WorkerPool.",
)  # fmt: skip
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("jobs.csv"), show_default=True, metavar="FILE",
    help="The trace; one that is there is replaced when the new one is complete.",
)  # fmt: skip
@click.option(
    "--redis",
    "url",
    metavar="URL",
    envvar="CREWCALL_RECORD_REDIS",
    help="The Redis to ask. Default: the pool's own spec.redis.url.",
)
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    envvar="CREWCALL_RECORD_FOR",
    help="Stop after this time, such as 10m. Default: at Ctrl-C.",
)
def record(file: Path, out: Path, url: str | None, seconds: float | None) -> None:
    """Write down when a pool's jobs became ready and how long they ran, for `crewcall simulate`.

    \b
    crewcall record -f workerpool.yaml -o jobs.csv               until Ctrl-C
    crewcall record -f workerpool.yaml --for 1h --redis redis://localhost:6379/0
    crewcall simulate -f workerpool.yaml --trace jobs.csv

    The pool's workers must be crewcall-worker. They tell of each job that ends while somebody records; afterwards it
    costs them nothing. Nothing else is changed, and no job's content is read.

    In the trace are the jobs that become ready after the beginning. Failed ones count, and each retry is a job of its
    own. Jobs that are not over at the end are left out, and their number is said: record for much longer than your
    longest job takes.
    """
    try:
        from crewcall_operator.api.pool import RedisSource
        from crewcall_operator.errors import QueueUnavailable
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise click.ClickException(f"{missing} is not installed. Try: pip install 'crewcall[local]'") from error
    if url is not None:
        check_redis_url(url)
    check_writable(out, "--out")
    pool = read_pool(file)
    if url is not None:
        pool = replace(pool, redis=RedisSource(url, pool.redis.namespace))
    elif pool.redis.refs:
        raise click.UsageError(
            f"The pool's Redis is in {pool.redis.refs[0]}, which is not read here: give --redis URL."
        )
    try:
        recording = asyncio.run(_record(pool, seconds))
    except QueueUnavailable as error:
        hint = "\nThat is the pool's own, which may name a host of its cluster: --redis URL takes another way to it."
        raise click.ClickException(f"{error}{hint if url is None else ''}") from error
    if not len(recording):
        click.echo(f"No job of {pool.key} became ready and ended; {out} is not written.{_advice(recording)}", err=True)
        sys.exit(1)
    try:
        recording.write(out)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from error
    click.echo(f"{out}: {_count(len(recording), 'job', 'jobs')}.{_advice(recording)}")


async def _record(pool: Pool, seconds: float | None) -> Recording:
    from crewcall_operator.adapters.redis_traces import RedisTraces

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    traces = RedisTraces()
    try:
        return await _until(stopped, traces, pool, seconds)
    finally:
        await traces.aclose()


async def _until(stopped: asyncio.Event, traces: RedisTraces, pool: Pool, seconds: float | None) -> Recording:
    from crewcall_operator.errors import QueueUnavailable
    from crewcall_operator.simulation.recording import Recording

    now = asyncio.get_running_loop().time
    began, told_at, is_cut = now(), -LINE_EVERY, False
    first = await traces.take(pool)  # whose rows are of an earlier recording
    recording = Recording(first.now_ms, first.arrived)
    is_over = False
    while True:
        is_over = stopped.is_set() or recording.is_full or (seconds is not None and now() - began >= seconds)
        if is_over:
            await asyncio.sleep(WRITTEN_AFTER)
        else:
            await _wait(stopped, EVERY)
        try:
            taken = await traces.take(pool)
        except QueueUnavailable as error:
            click.echo(f"{error} The recording has a gap.", err=True)
            if is_over:
                return recording
            continue
        recording.add(taken.runs, taken.arrived, taken.outstanding, taken.unread)
        if taken.is_cut and not is_cut:
            is_cut = True
            click.echo("More jobs end than Redis keeps for a recording: some are missing in the trace.", err=True)
        if is_over:
            return recording
        if sys.stderr.isatty() or now() - told_at >= LINE_EVERY:
            told_at = now()
            _tell(pool, recording, now() - began)


async def _wait(stopped: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), seconds)
    except TimeoutError:
        return


def _tell(pool: Pool, recording: Recording, passed: float) -> None:
    done = _count(len(recording), "job", "jobs")
    line = f"recording {pool.key} · {int(passed) // 60}:{int(passed) % 60:02} · {done} done"
    line += f", {recording.unfinished:,} not yet" if recording.unfinished else ""
    click.echo(f"\r\x1b[K{line} · Ctrl-C ends" if sys.stderr.isatty() else line, err=True, nl=not sys.stderr.isatty())


def _advice(recording: Recording) -> str:
    left_out = []
    if recording.older:
        left_out.append(_count(recording.older, "that was", "that were") + " ready before the beginning")
    if recording.unfinished:
        left_out.append(_count(recording.unfinished, "that is", "that are") + " not over")
    if recording.unread:
        left_out.append(f"{recording.unread:,} whose row cannot be read")
    if left_out:
        return f" Left out: {', '.join(left_out)}."
    return "" if len(recording) else " Do its workers run crewcall-worker, on these queues?"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
