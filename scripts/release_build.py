"""One release on its way: built step by step from a clean clone. Whether it works is for `release_trial`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from scripts import release_contents as contents

ROOT = Path(__file__).parents[1]
DEFINITION = Path("crds/workerpool.yaml")
#: Each image's name, and a command that starts there where all that it imports is there.
IMAGES = {"operator": ("crewcall", "operator", "--help"), "worker": ("crewcall-worker", "--help")}
LONGEST_S = 900.0
#: Lines of what a command said that are shown where it fails.
TAIL = 25
#: Not for what is run here: make's own, and this checkout's environment.
KEPT_OUT = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH", "VIRTUAL_ENV")


class Broken(Exception):
    """A step has failed; the text says what was found."""


@dataclass(slots=True)
class Release:
    """One release on its way: the clone it is built from, what has been built, and the folder for everything else."""

    work: Path
    commit: str
    epoch: str
    helm: Path
    builds_images: bool
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

    @property
    def variables(self) -> dict[str, str]:
        """The environment of all that is run: what is left behind is left in `work`."""
        kept = {name: value for name, value in os.environ.items() if name not in KEPT_OUT}
        return {**kept, "SOURCE_DATE_EPOCH": self.epoch, "TMPDIR": str(self.work)}

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """What the command prints. Raises `Broken`."""
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words,
                cwd=cwd or self.checkout,
                env=self.variables,
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


def clone(release: Release) -> None:
    release.run("git", "clone", "--quiet", ROOT, release.checkout, cwd=ROOT)
    release.run("git", "checkout", "--quiet", "--detach", release.commit)
    release.tracked = release.run("git", "ls-files").splitlines()


def versions(release: Release) -> None:
    refuse(contents.version_problems(release.checkout, release.tracked))


def environment(release: Release) -> None:
    release.run("make", f"PYTHON={Path(sys.executable).resolve()}", ".venv/.ready")


def wheel_and_sdist(release: Release) -> None:
    release.run(".venv/bin/python", "-m", "build", "--no-isolation", "--outdir", release.dist, ".")
    with zipfile.ZipFile(release.wheel) as wheel:
        refuse(contents.wheel_problems(wheel.namelist(), release.tracked))
    with tarfile.open(release.dist / f"crewcall-{release.version}.tar.gz") as sdist:
        refuse(contents.sdist_problems(sdist.getnames(), release.tracked))


def image_contexts(release: Release) -> None:
    """The steps of both Dockerfiles, without a container: what they copy is there, and what they install installs."""
    ignored = (release.checkout / ".dockerignore").read_text().splitlines()
    context = [path for path in release.tracked if contents.in_context(path, ignored)]
    for name in IMAGES:
        refuse(contents.context_problems((release.checkout / f"Dockerfile.{name}").read_text(), context))
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
    for name, program in IMAGES.items():
        target = release.work / f"image-{name}"
        release.run(sys.executable, "-m", "venv", "--without-pip", target)
        pip = (tools / "pip", "--python", target / "bin" / "python")
        release.run(*pip, *hashed, "--no-deps", "-r", f"requirements/{name}.lock", cwd=folder)
        release.run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
        release.run(target / "bin" / program[0], *program[1:], cwd=release.work)
    if release.builds_images:
        release.run("scripts/images")


def chart(release: Release) -> None:
    release.run(release.helm, "package", "charts/crewcall", "--destination", release.dist)


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


def refuse(problems: Iterable[str]) -> None:
    if found := list(problems):
        raise Broken("\n".join(found))
