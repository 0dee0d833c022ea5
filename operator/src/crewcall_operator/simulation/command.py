"""The command `crewcall simulate`: its options, and its errors in words. What it runs is imported when it is run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from crewcall_operator.core.crew import USUAL_THREADS
from crewcall_operator.core.startups import UNSEEN
from crewcall_operator.simulation.options import Duration, check_picture, chosen

if TYPE_CHECKING:
    from crewcall_operator.api.pool import Pool
    from crewcall_operator.simulation.contest import Result
    from crewcall_operator.simulation.scenarios import Scenario

BAD_INPUT = 2

#: What jobs are late by where the pool makes no promise.
USUAL_PROMISE = 30.0


@click.command(short_help="Try a pool on a trace of jobs, in seconds.")
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A file of one WorkerPool.",
)
@click.option(
    "--trace",
    "traces",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    envvar="CREWCALL_SIMULATE_TRACE",
    help="A CSV file with the columns arrival_s and service_s; may be repeated.",
)
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    envvar="CREWCALL_SIMULATE_SCENARIO",
    help="A trace that ships, or all; may be repeated.",
)
@click.option(
    "--startup", type=Duration(), help="How long a replica takes to start. Default: 30s; in a scenario what it says."
)
@click.option(
    "--within", type=Duration(), help="What late is. Default: the pool's queueLatency, or 30s where it has none."
)
@click.option("--compare", default="", metavar="NAMES", help="Other autoscalers, separated by commas, or all.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: .png, .svg or .pdf.")
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    envvar="CREWCALL_SIMULATE_JSON",
    help="Answer in JSON, a line for each trace.",
)
def simulate(
    file: Path,
    traces: tuple[Path, ...],
    names: tuple[str, ...],
    startup: float | None,
    within: float | None,
    compare: str,
    plot: Path | None,
    is_json: bool,
) -> None:
    """Run jobs of the past through a pool, with the operator's own decisions, and see how long they would have waited.

    \b
    crewcall simulate -f workerpool.yaml --trace jobs.csv
    crewcall simulate -f workerpool.yaml --trace jobs.csv --compare keda,hpa
    crewcall simulate -f workerpool.yaml --trace jobs.csv --plot out.png
    crewcall simulate -f workerpool.yaml --scenario all --compare all
    """
    try:
        from crewcall_operator.core.policy import QueueLatency
        from crewcall_operator.simulation.contest import hold
        from crewcall_operator.simulation.report import as_json, table
        from crewcall_operator.simulation.setting import Setting
        from crewcall_operator.simulation.trace import BadTrace, read_trace
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise click.ClickException(f"{missing} is not installed. Try: pip install 'crewcall[local]'") from error

    if plot is not None:
        check_picture(plot)
    pool, peers, scenarios = read_pool(file), _peers(compare), _scenarios(names)
    threads = pool.concurrency or USUAL_THREADS
    target = pool.policy.target
    promise = within or (target.seconds if isinstance(target, QueueLatency) else USUAL_PROMISE)
    setting = Setting(threads=threads, prefetch=threads, startup=startup or UNSEEN)
    try:
        runs = [(read_trace(trace), setting) for trace in traces]
    except BadTrace as error:
        _refuse(error.lines)
    for scenario in scenarios:
        own = scenario.setting
        runs.append((scenario.trace, replace(own, threads=threads, prefetch=threads, startup=startup or own.startup)))
    if not runs:
        raise click.UsageError("nothing to simulate: give a --trace, or a --scenario.")
    if plot is not None and len(runs) > 1:
        raise click.UsageError(f"--plot draws one trace, and there are {len(runs)}.")
    _warn(pool)
    for number, (trace, around) in enumerate(runs):
        result = hold(trace, around, pool.policy, promise, peers, pool.grace_period)
        if is_json:
            click.echo(json.dumps(as_json(result)))
        else:
            click.echo(("\n" if number else "") + table(result))
        if plot is not None:
            _draw(result, plot)
            click.echo(f"  picture: {plot}", err=is_json)


def read_pool(file: Path) -> Pool:
    """The one WorkerPool in `file`; ends the command where there is none, or more."""
    from crewcall_operator.local.files import BadFiles, read_pools

    try:
        pools = read_pools([file], check=lambda _: None)
    except BadFiles as error:
        _refuse(error.lines)
    if len(pools) > 1:
        _refuse([f"{file}: holds {len(pools)} WorkerPools; keep the one that is meant in a file of its own."])
    return pools[0]


def _warn(pool: Pool) -> None:
    from crewcall_operator.core.policy import Mode

    if pool.policy.mode is Mode.PAUSED:
        click.echo(
            f"{pool.key} is Paused, so its replicas stay at minReplicas, which is {pool.policy.min_replicas}. "
            "Set mode: Auto to see what it would do.",
            err=True,
        )


def _draw(result: Result, plot: Path) -> None:
    from crewcall_operator.simulation.picture import draw

    try:
        draw(result, plot)
    except OSError as error:
        raise click.ClickException(f"{plot} cannot be written: {error.strerror}.") from error


def _peers(compare: str) -> list[str]:
    from crewcall_operator.simulation.peers import PEERS

    names = [name.strip() for name in compare.split(",") if name.strip()]
    return chosen(names, list(PEERS), "--compare")


def _scenarios(names: tuple[str, ...]) -> list[Scenario]:
    from crewcall_operator.simulation.scenarios import SCENARIOS, SEED

    return [SCENARIOS[name](SEED) for name in chosen(names, list(SCENARIOS), "--scenario")]


def _refuse(lines: Iterable[str]) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    sys.exit(BAD_INPUT)
