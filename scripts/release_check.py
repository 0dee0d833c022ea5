"""`make release-check`: builds all that a release consists of from a clean clone of HEAD, and tries it.

What is not committed is not in it, and nothing of this checkout's environment either: the clone makes its own from the
lock file. The wheel is installed outside of any checkout, the chart is rendered from its package. Each step prints its
time; at the first failure it ends with 1 and says what to do. What was built is in dist/ in the end, with its sums.

About five minutes; the network is needed for packages that pip has not cached, and for helm where it is not here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from scripts import release_contents as contents
from tests.support.tools import ToolMissing, find_tool

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
DEFINITION = Path("crds/workerpool.yaml")
LONGEST_S = 900.0
TAIL = 25
LOCAL_STARTS_S, JOBS, JOBS_DONE_S, LOCAL_ENDS_S = 30.0, 40, 60.0, 40.0

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


class Broken(Exception):
    """A step has failed; the text says what was found."""


@dataclass(slots=True)
class Release:
    """One release on its way: the clone it is built from, what has been built, and the folder for everything else."""

    work: Path
    commit: str
    epoch: str
    helm: Path
    real_images: bool
    checkout: Path = field(init=False)
    dist: Path = field(init=False)
    tracked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.checkout, self.dist = self.work / "checkout", self.work / "dist"
        self.dist.mkdir()

    @property
    def version(self) -> str:
        return contents.read_version(self.checkout)

    @property
    def wheel(self) -> Path:
        return self.dist / f"crewcall-{self.version}-py3-none-any.whl"

    @property
    def chart(self) -> Path:
        return self.dist / f"crewcall-{self.version}.tgz"

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """What the command prints. Raises `Broken`."""
        words = [str(word) for word in command]
        variables = {name: value for name, value in os.environ.items() if name not in INHERITED}
        variables["SOURCE_DATE_EPOCH"] = self.epoch
        try:
            done = subprocess.run(
                words,
                cwd=cwd or self.checkout,
                env=variables,
                check=False,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
            )
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{' '.join(words)}: not over after {LONGEST_S:g} s") from error
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL:])
            raise Broken(f"{' '.join(words)}: exit status {done.returncode}\n{said}")
        return done.stdout


#: Not for what is run here: make's own, and this checkout's environment.
INHERITED = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH", "VIRTUAL_ENV")


def clone(release: Release) -> None:
    release.run("git", "clone", "--quiet", ROOT, release.checkout, cwd=ROOT)
    release.run("git", "checkout", "--quiet", "--detach", release.commit)
    release.tracked = release.run("git", "ls-files").splitlines()


def versions(release: Release) -> None:
    _none(contents.version_problems(release.checkout, release.tracked))


def environment(release: Release) -> None:
    release.run("make", f"PYTHON={Path(sys.executable).resolve()}", ".venv/.ready")


def wheel_and_sdist(release: Release) -> None:
    release.run(".venv/bin/python", "-m", "build", "--no-isolation", "--outdir", release.dist, ".")
    with zipfile.ZipFile(release.wheel) as wheel:
        _none(contents.wheel_problems(wheel.namelist(), release.tracked))
    with tarfile.open(release.dist / f"crewcall-{release.version}.tar.gz") as sdist:
        _none(contents.sdist_problems(sdist.getnames(), release.tracked))


def image_contexts(release: Release) -> None:
    """The steps of both Dockerfiles, without a container: what they copy is there, and what they install installs."""
    ignored = (release.checkout / ".dockerignore").read_text().splitlines()
    context = [path for path in release.tracked if contents.in_context(path, ignored)]
    folder = release.work / "context"
    for path in context:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(release.checkout / path, folder / path)
    tools = release.work / "tools" / "bin"
    hashed = ("install", "--quiet", "--require-hashes", "--only-binary", ":all:")
    release.run(sys.executable, "-m", "venv", tools.parent)
    release.run(tools / "pip", *hashed, "-r", "requirements/build.lock", cwd=folder)
    release.run(
        *(tools / "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
        *("--wheel-dir", release.work / "wheels", "."),
        cwd=folder,
    )
    (wheel,) = (release.work / "wheels").glob("*.whl")
    for name, program in (("operator", ("crewcall", "operator", "--help")), ("worker", ("crewcall-worker", "--help"))):
        _none(contents.context_problems((release.checkout / f"Dockerfile.{name}").read_text(), context))
        target = release.work / f"image-{name}"
        release.run(sys.executable, "-m", "venv", "--without-pip", target)
        pip = (tools / "pip", "--python", target / "bin" / "python")
        release.run(*pip, *hashed, "--no-deps", "-r", f"requirements/{name}.lock", cwd=folder)
        release.run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
        release.run(target / "bin" / program[0], *program[1:], cwd=release.work)
    if release.real_images:
        release.run("scripts/images")


def chart(release: Release) -> None:
    release.run(release.helm, "package", "charts/crewcall", "--destination", release.dist)


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


def definitions(release: Release) -> None:
    """All definitions in one file for `kubectl apply`."""
    bundle = release.dist / f"crewcall-crds-{release.version}.yaml"
    head = f"# Crewcall {release.version}: kubectl apply --server-side -f {bundle.name}\n"
    texts = [path.read_text(encoding="utf-8") for path in sorted((release.checkout / "crds").glob("*.yaml"))]
    bundle.write_text(head + "---\n".join(texts), encoding="utf-8")
    if [one["kind"] for one in yaml.safe_load_all(bundle.read_text())] != ["CustomResourceDefinition"] * len(texts):
        raise Broken(f"{bundle.name} has something else than definitions in it")


def documentation(release: Release) -> None:
    release.run("make", "docs")
    with tarfile.open(release.dist / f"crewcall-docs-{release.version}.tar.gz", "w:gz") as archive:
        archive.add(release.checkout / "build" / "site", f"crewcall-docs-{release.version}")


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
    with _local(release, programs, pool) as url:
        release.run(programs / "python", "-c", PRODUCER, url, str(JOBS), str(JOBS_DONE_S), cwd=release.work)


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
def _local(release: Release, programs: Path, pool: Path) -> Iterator[str]:
    """`crewcall local` with its own Redis, whose URL this gives; ended as by Ctrl-C, which must leave with 0."""
    log = release.work / "local.log"
    command: list[str | Path] = [programs / "crewcall", "local", "-f", pool, "--plain", "--no-board"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=release.work, stdout=output, stderr=output)
    try:
        end = time.monotonic() + LOCAL_STARTS_S
        while not (said := [line for line in log.read_text().splitlines() if line.startswith("REDIS_URL=")]):
            if process.poll() is not None or time.monotonic() > end:
                raise Broken(f"crewcall local has not started:\n{log.read_text()}")
            time.sleep(0.1)
        yield said[0].partition("=")[2]
        process.send_signal(signal.SIGINT)
        if status := process.wait(LOCAL_ENDS_S):
            raise Broken(f"crewcall local ended with {status}:\n{log.read_text()}")
    except subprocess.TimeoutExpired as error:
        raise Broken(f"crewcall local has not ended {LOCAL_ENDS_S:g} s after Ctrl-C:\n{log.read_text()}") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


#: What is done, and what to do where it fails.
STEPS: Sequence[tuple[str, Callable[[Release], None], str]] = (
    ("a clean clone", clone, "Commit first; the clone is of HEAD."),
    ("one version everywhere", versions, "pyproject.toml has the version: mend the others (docs/releasing.md)."),
    ("its environment, by the lock file", environment, "`make lock` resolves anew; commit what it writes."),
    ("wheel and sdist", wheel_and_sdist, "See [tool.hatch.build] in pyproject.toml, and whether all is committed."),
    ("both images' contexts", image_contexts, "Compare the Dockerfile with .dockerignore, and `make lock`."),
    ("the chart", chart, "`make chart` runs its tests."),
    ("the chart from its package", chart_as_packaged, "`make chart` runs its tests; the version is in Chart.yaml."),
    ("the definitions in one file", definitions, "Only definitions belong into crds/."),
    ("the documentation", documentation, "`make docs` says which page is wrong."),
    ("the wheel alone", bare_wheel, "What the commands import at once must be in `dependencies` of pyproject.toml."),
    ("the wheel with [local]", wheel_for_one_machine, "The extra `local` in pyproject.toml has what it needs."),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.release_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", action="store_true", help="build both images for real as well (scripts/images)")
    asked = parser.parse_args(arguments)
    commit, epoch = (_git("log", "-1", f"--format={form}") for form in ("%H", "%ct"))
    if changed := _git("status", "--porcelain").splitlines():
        print(f"Not in it, because not committed: {len(changed)} files, such as {changed[0][3:]}")
    try:
        helm = find_tool("helm")
    except ToolMissing as missing:
        print(f"{missing}. Install helm: https://helm.sh/docs/intro/install")
        return 1
    with tempfile.TemporaryDirectory(prefix="crewcall-release-") as folder:
        release = Release(Path(folder), commit, epoch, helm, asked.images)
        if not all(_take(step, release, f"{at}/{len(STEPS)}") for at, step in enumerate(STEPS, 1)):
            return 1
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(release.dist, DIST)
    lines = artefacts(DIST)
    (DIST / "SHA256SUMS").write_text("".join(f"{sum_}  {name}\n" for name, _, sum_ in lines))
    print(f"\ndist/, built from {commit[:10]}:")
    for name, size, sum_ in lines:
        print(f"  {name:40} {size / 1e6:7.2f} MB  {sum_}")
    return 0


def artefacts(folder: Path) -> list[tuple[str, int, str]]:
    """Name, size in bytes and SHA-256 of each file."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return [(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def _take(step: tuple[str, Callable[[Release], None], str], release: Release, place: str) -> bool:
    words, do, remedy = step
    print(f"[{place}] {words} ...", end=" ", flush=True)
    began = time.monotonic()
    try:
        do(release)
    except Broken as broken:
        print(f"FAILED after {time.monotonic() - began:.0f} s\n\n{broken}\n\n{remedy}")
        return False
    print(f"{time.monotonic() - began:.0f} s")
    return True


def _none(problems: Iterable[str]) -> None:
    if found := list(problems):
        raise Broken("\n".join(found))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
