"""What was built, tried where no checkout helps it: the chart from its package, the wheel in an empty environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, build_opener

import yaml
from scripts import release_contents as contents
from scripts.release_build import DEFINITION, Broken, Release

STARTS_S, JOBS, JOBS_DONE_S, ENDS_S = 60.0, 40, 60.0, 40.0

#: Sends jobs to the Redis of argv[1] as any producer does, and waits until each has left its trace: argv[2] of them,
#: for argv[3] seconds at most.
PRODUCER = """
import sys, time
import dramatiq, redis
from dramatiq.brokers.redis import RedisBroker
url, jobs, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
dramatiq.set_broker(RedisBroker(url=url))
from crewcall_jobs import demo
for number in range(jobs):
    demo.work.send("release", number, 50)
client, end = redis.Redis.from_url(url), time.monotonic() + seconds
while (done := client.hlen(demo.traces_key("release"))) < jobs:
    if time.monotonic() > end:
        sys.exit(f"{done} of {jobs} jobs are done after {seconds:g} s")
    time.sleep(0.1)
"""


def chart_as_packaged(release: Release) -> None:
    values = release.work / "everything.yaml"
    values.write_text(yaml.safe_dump(contents.EVERYTHING))
    release.run(release.helm, "lint", "--strict", release.chart, cwd=release.work)
    definition = yaml.safe_load((release.checkout / DEFINITION).read_text())
    for options in ((), ("--values", values)):
        text = release.run(release.helm, "template", "crewcall", release.chart, *options, cwd=release.work)
        manifests = [one for one in yaml.safe_load_all(text) if one]
        (rendered,) = (one for one in manifests if one["kind"] == "CustomResourceDefinition")
        if rendered["spec"] != definition["spec"]:
            raise Broken(f"the chart's definition is not {DEFINITION}")
        if wrong := [image for image in contents.images(manifests) if not image.endswith(f":{release.version}")]:
            raise Broken(f"images of another version than {release.version}: {', '.join(wrong)}")


def bare_wheel(release: Release) -> None:
    """The wheel alone: what a program that only enqueues has. Nothing but the commands' own words may be asked."""
    programs = _installed(release, str(release.wheel))
    for program in ("crewcall", "crewcall-worker"):
        release.run(programs / program, "--help", cwd=release.work)
        said = release.run(programs / program, "--version", cwd=release.work).split()
        if said[-1] != release.version:
            raise Broken(f"{program} --version says {' '.join(said)}; pyproject.toml has {release.version}")


def wheel_for_one_machine(release: Release) -> None:
    """With the extra `local`: a simulation, and a pool of real workers that does its jobs."""
    programs = _installed(release, f"{release.wheel}[local]")
    pool, trace = release.work / "pool.yaml", release.work / "jobs.csv"
    shutil.copy2(release.checkout / "examples" / "workerpool.yaml", pool)
    trace.write_text("arrival_s,service_s\n" + "".join(f"{second},0.5\n" for second in range(60)))
    said = release.run(programs / "crewcall", "simulate", "-f", pool, "--trace", trace, "--json", cwd=release.work)
    if '"jobs": 60' not in said:
        raise Broken(f"crewcall simulate does not tell of 60 jobs:\n{said}")
    with _local(release, programs, pool) as (redis, board):
        release.run(programs / "python", "-c", PRODUCER, redis, str(JOBS), str(JOBS_DONE_S), cwd=release.work)
        _look_at_the_board(board)


def _installed(release: Release, what: str) -> Path:
    """The programs of an empty environment with just this in it, in the versions of the lock file."""
    folder, limits = release.work / "empty", release.work / "constraints.txt"
    limits.write_text(contents.constraints((release.checkout / "requirements" / "dev.lock").read_text()))
    release.run(sys.executable, "-m", "venv", "--clear", folder)
    programs = folder / "bin"
    release.run(programs / "pip", "install", "--quiet", "--constraint", limits, what, cwd=release.work)
    release.run(programs / "pip", "check", cwd=release.work)
    return programs


@contextmanager
def _local(release: Release, programs: Path, pool: Path) -> Iterator[tuple[str, str]]:
    """`crewcall local`: the URL of its Redis, and its board's address. Ended by SIGTERM, which must leave with 0."""
    log = release.work / "local.log"
    command: list[str | Path] = [programs / "crewcall", "local", "-f", pool, "--plain"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=release.work, env=release.variables, stdout=output, stderr=output)
    try:
        end = time.monotonic() + STARTS_S
        while len(told := _told(log.read_text())) < 2:
            if process.poll() is not None or time.monotonic() > end:
                raise Broken(f"crewcall local has not started with its board:\n{log.read_text()}")
            time.sleep(0.1)
        yield told["REDIS_URL"], told["Board"]
        process.terminate()  # a check in the background has its programs ignore Ctrl-C
        if status := process.wait(ENDS_S):
            raise Broken(f"crewcall local ended with {status}:\n{log.read_text()}")
    except subprocess.TimeoutExpired as error:
        raise Broken(f"crewcall local has not ended {ENDS_S:g} s after SIGTERM:\n{log.read_text()}") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _told(log: str) -> dict[str, str]:
    """Where `crewcall local` says its Redis and its board are."""
    return dict(re.findall(r"^(REDIS_URL|Board)[= ](\S+)$", log, re.MULTILINE))


def _look_at_the_board(address: str) -> None:
    """A page with the pool on it, and the style that it names: templates and static files are in the wheel."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    end = time.monotonic() + STARTS_S
    while True:
        try:
            with browser.open(address, timeout=10) as answer:
                page = answer.read().decode()
            break
        except URLError as error:  # its process is still starting
            if time.monotonic() > end:
                raise Broken(f"the board does not answer at {address}: {error}") from error
            time.sleep(0.2)
    styles = re.findall(r'href="([^"]+\.css[^"]*)"', page)
    if "demo" not in page or not styles:
        raise Broken(f"the board shows no pool, or names no style:\n{page[:2000]}")
    for style in styles:
        with browser.open(urljoin(address, style), timeout=10) as answer:
            answer.read()
