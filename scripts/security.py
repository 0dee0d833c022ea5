"""`make security`: secrets that were ever committed, bandit's findings, and known flaws in what we depend on.

The first two need no network. The last one asks PyPI, through pip-audit, about every pinned release; what it could not
be told of is named, and counts as not audited, never as good.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
LOCKS = sorted(ROOT.glob("requirements/*.lock"))
TOOLS = Path(sys.prefix) / "bin"

#: Texts of tests that look like secrets: a token that nobody has signed, and a URL whose password is a word.
NO_SECRETS = (r"^eyJhbGciOiJub25lIn0\.", r"mysql://u:SECRET@h/db")

AUDITED = ("--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json")

DONE, FOUND, UNKNOWN = 0, 1, 2


class Audit(NamedTuple):
    """Which releases were asked about, what is known to be wrong with some, and which of them nothing was told of."""

    asked: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()
    untold: frozenset[str] = frozenset()

    def __or__(self, other: Audit) -> Audit:
        return Audit(self.asked | other.asked, self.wrong | other.wrong, self.untold | other.untold)


def read_audit(told: str) -> Audit:
    """What pip-audit says in JSON. Raises `ValueError` where it says something else, as it does without a network."""
    releases: list[dict[str, Any]] = json.loads(told)["dependencies"]
    wrong = frozenset(
        f"{release['name']} {release['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for release in releases
        for flaw in release.get("vulns", ())
    )
    untold = frozenset(release["name"] for release in releases if "skip_reason" in release)
    return Audit(frozenset(release["name"] for release in releases), wrong, untold)


def secrets() -> int:
    """Look through every version of every file that was ever committed, and what is in the tree."""
    with tempfile.TemporaryDirectory() as folder:
        # A clone of its own: a worktree has its history elsewhere, and what git ignores was not committed.
        history = Path(folder) / "history.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(history)], check=True)
        said = _run("kingfisher", "scan", str(history), "--git-history=full", *_kingfishers())
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
        files = [str(ROOT / name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
        tree = _run("kingfisher", "scan", *files, "--git-history=none", *_kingfishers())
    return _tell("secrets", said.returncode or tree.returncode, "" if not said.returncode else said.stdout, tree)


def bandit() -> int:
    """Look at how the code is written."""
    said = _run("bandit", "--quiet", "--configfile=pyproject.toml", "--recursive", "operator", "worker")
    return _tell("bandit", said.returncode, "", said)


def audit() -> int:
    """Ask about what we depend on."""
    found = Audit()
    for lock in LOCKS:
        said = _run("pip-audit", *AUDITED, "--requirement", str(lock))
        try:
            found |= read_audit(said.stdout)
        except ValueError:
            print(f"NOT AUDITED: PyPI could not be asked about {lock.name}: {said.stderr.strip()[-200:]}")
            return UNKNOWN
    for line in sorted(found.wrong):
        print(f"flaw: {line}")
    if found.untold:
        untold = f"{len(found.untold)} of {len(found.asked)} packages"
        print(f"NOT AUDITED: of the pinned releases of {untold} PyPI told nothing: {', '.join(sorted(found.untold))}")
    if not found.wrong and not found.untold:
        print(f"audit: nothing is known to be wrong with the pinned releases of {len(found.asked)} packages")
    return FOUND if found.wrong else UNKNOWN if found.untold else DONE


def _kingfishers() -> list[str]:
    skipped = [word for pattern in NO_SECRETS for word in ("--skip-regex", pattern)]
    return ["--no-validate", "--no-update-check", "--quiet", *skipped]


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(TOOLS / tool), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def _tell(what: str, status: int, before: str, said: subprocess.CompletedProcess[str]) -> int:
    print(f"{what}: {before}{said.stdout}{said.stderr}" if status else f"{what}: none found")
    return FOUND if status else DONE


def main(steps: tuple[Callable[[], int], ...] = (secrets, bandit, audit)) -> int:
    """All of them, whatever one finds: 1 where anything was found, else 2 where something could not be told."""
    statuses = [step() for step in steps]
    return FOUND if FOUND in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main())
