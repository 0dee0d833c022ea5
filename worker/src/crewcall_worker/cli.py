"""`crewcall-worker`: the command line of a worker. Settings come from the environment; see `wire`.

What a command does is imported only when it is run: help is to be had where Dramatiq is not installed.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from crewcall_worker import drain as draining
from crewcall_worker import logs
from crewcall_worker.board_command import board
from crewcall_worker.errors import BadSetting, NotInstalled, WorkerError
from crewcall_worker.jobs_command import jobs
from crewcall_worker.settings import from_environment, log_format


class _Seconds(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):  # which is in every range, for no comparison with it holds
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return seconds


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crewcall")
def main() -> None:
    """Run Dramatiq jobs for a WorkerPool, and let them finish before the worker goes home."""


@main.command()
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@click.option("--path", default=".", show_default=True, help="Where job modules are looked for first.")
@click.option("--pid-file", type=click.Path(path_type=Path), help="Write the process id here, for `drain --pid-file`.")
@click.option("-v", "--verbose", is_flag=True, help="Log every message that is fetched and acknowledged.")
def run(modules: tuple[str, ...], path: str, pid_file: Path | None, verbose: bool) -> None:
    """Work on a pool's queues until told to stop, in one process.

    MODULE is a Python module with Dramatiq actors, such as shop.jobs.

    \b
    Settings, from the environment (the operator and `crewcall local` set them):
      REDIS_URL             where the queues live: redis://redis:6379/0.
                            Required, or:
      REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PASSWORD
                            the same in parts.
                            [port 6379, database 0, no password]
      CREWCALL_REDIS_USERNAME, CREWCALL_REDIS_PASSWORD
                            who logs in, where the URL does not tell.
      CREWCALL_REDIS_CA     a file of certificate authorities in PEM, for
                            rediss://. [the system's]
      CREWCALL_SENTINEL_USERNAME, CREWCALL_SENTINEL_PASSWORD
                            who logs in to Sentinels:
                            redis+sentinel://host:port,.../master/0
      CREWCALL_REDIS_NAMESPACE
                            Dramatiq's key prefix. [dramatiq]
      CREWCALL_QUEUES       the queues to work on: sms,email.
                            [all that the actors work on]
      CREWCALL_THREADS      jobs to run at once.
                            [8; the sum of the limits where every queue has one]
      CREWCALL_CONCURRENCY  jobs of one queue to run at once: sms=5,email=2
                            [as their job types say]
      CREWCALL_LOG_FORMAT   text, or json: an object in each line. [text]
      CREWCALL_SHUTDOWN_TIMEOUT
                            seconds for running jobs after SIGTERM; keep it
                            below the pod's terminationGracePeriodSeconds. [600]
      CREWCALL_LAPSED_AFTER seconds of silence after which a worker is taken for
                            dead. [30]
      CREWCALL_MOST_KILLS   workers that a job may kill before it becomes a dead
                            letter. [3]
      CREWCALL_METRICS_PORT where to serve /metrics, /healthz and /readyz.
                            [nowhere]

    SIGTERM or Ctrl-C drains: running jobs finish, prefetched ones go back to
    their queues. A second one ends the worker at once; its jobs are then run
    again elsewhere.

    \b
    Exit status:
      0  every job that was begun is finished
      1  jobs were cut off: the time ran out, or a second signal came; or Redis
         refused the user
      2  a setting or a module is wrong
    """
    try:
        logs.configure(log_format(os.environ), verbose=verbose)
    except WorkerError as error:
        _fail(error)
    sys.path.insert(0, str(Path(path).resolve()))
    try:
        from crewcall_worker import run as running
    except ModuleNotFoundError as error:
        _fail(NotInstalled((error.name or "").partition(".")[0]))
    try:
        settings = from_environment(os.environ)
        if pid_file is not None:
            _write_pid(pid_file)
        status = running.run(settings, modules)
    except WorkerError as error:
        _fail(error)
    sys.exit(status)


@main.command()
@click.option("--wait", is_flag=True, help="Come back only when the worker has ended.")
@click.option("--timeout", type=_Seconds(min=0), metavar="SECONDS", help="Wait so long at most. [no limit]")
@click.option(
    "--pid", type=click.IntRange(min=1), metavar="PID", default=1, show_default=True, help="The worker's process id."
)
@click.option("--pid-file", type=click.Path(path_type=Path), help="Where `run --pid-file` has written it.")
def drain(wait: bool, timeout: float | None, pid: int, pid_file: Path | None) -> None:
    """Ask a worker to finish its running jobs and go home.

    In a container the worker is process 1, and this its preStop hook:

    \b
      lifecycle:
        preStop:
          exec:
            command: [crewcall-worker, drain, --wait]

    A hook needs --wait: Kubernetes sends SIGTERM when the hook has ended, and a worker that drains takes a second one
    as an order to end at once. Nothing but a `crewcall-worker run` is ever signalled.

    \b
    Exit status:
      0  asked; with --wait: it has ended
      1  it was not a worker, or it still runs
    """
    try:
        draining.drain(_pid_in(pid_file) if pid_file else pid, wait=wait, timeout=timeout)
    except WorkerError as error:
        _fail(error)


main.add_command(jobs)
main.add_command(board)


def _write_pid(file: Path) -> None:
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise BadSetting(
            "--pid-file", str(file), f"it cannot be written: {error.strerror}. Name a file in a directory that is there"
        ) from error


def _pid_in(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{file} holds no process id: {error}", param_hint="--pid-file") from error


def _fail(error: WorkerError) -> NoReturn:
    click.echo(f"crewcall-worker: {error}", err=True)
    sys.exit(error.exit_status)
