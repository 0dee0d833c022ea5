"""`make release-check`: builds all that a release consists of from a clean clone of HEAD, and tries it.

What is not committed is not in it, and nothing of this checkout's environment either: the clone makes its own from the
lock file. The wheel is installed outside of any checkout, the chart is rendered from its package. Each step prints its
time; at the first failure it ends with 1 and says what to do. What was built is in dist/ in the end, with its sums.

Five to ten minutes; the network is needed for packages that pip has not cached, and for helm where it is not here.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import release_build, release_trial
from scripts.release_build import ROOT, Broken, Release
from tests.support.tools import ToolMissing, find_tool

DIST = ROOT / "dist"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, in words and in code, and what to do where it fails."""

    words: str
    do: Callable[[Release], None]
    remedy: str


STEPS = (
    Step("a clean clone", release_build.clone, "Commit first; the clone is of HEAD."),
    Step("one version everywhere", release_build.versions, "docs/releasing.md says where it is written."),
    Step("its environment, by the lock file", release_build.environment, "`make lock` resolves it anew; commit that."),
    Step("wheel and sdist", release_build.wheel_and_sdist, "See [tool.hatch.build] in pyproject.toml, and .gitignore."),
    Step("both images' contexts", release_build.image_contexts, "See Dockerfile and .dockerignore; `make lock`."),
    Step("the chart", release_build.chart, "`make chart` runs its tests."),
    Step("the chart from its package", release_trial.chart_as_packaged, "`make chart` runs the chart's tests."),
    Step("the definitions in one file", release_build.definitions, "Only definitions belong into crds/."),
    Step("the documentation", release_build.documentation, "`make docs` says which page is wrong."),
    Step("the wheel alone", release_trial.bare_wheel, "`dependencies` of pyproject.toml must do for --help."),
    Step("the wheel with [local]", release_trial.wheel_for_one_machine, "The extra `local` must have all it imports."),
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
        if not all(take(step, release, f"{at}/{len(STEPS)}") for at, step in enumerate(STEPS, 1)):
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


def take(step: Step, release: Release, place: str) -> bool:
    """Whether the step went well; told with its time either way."""
    print(f"[{place}] {step.words} ...", end=" ", flush=True)
    began = time.monotonic()
    try:
        step.do(release)
    except Broken as broken:
        print(f"FAILED after {time.monotonic() - began:.0f} s\n\n{broken}\n\n{step.remedy}")
        return False
    print(f"{time.monotonic() - began:.0f} s")
    return True


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
