"""What a release must contain, and where its number is said: pure questions that `scripts.release_check` asks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

#: The packages of the wheel, by where their sources are: pyproject.toml's, under [tool.hatch].
PACKAGES = {
    "crewcall_operator": "operator/src/crewcall_operator",
    "crewcall_worker": "worker/src/crewcall_worker",
    "crewcall_jobs": "worker/src/crewcall_jobs",
}
CHART = Path("charts/crewcall/Chart.yaml")
IMAGE = re.compile(r"\bcrewcall-(?:operator|worker):(\d[\w.+-]*)")

#: The chart's values with all that can be switched on, switched on.
EVERYTHING: dict[str, Any] = {
    "watchNamespaces": ["shop"],
    **{
        name: {"enabled": True}
        for name in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard", "networkPolicy")
    },
    "board": {
        "enabled": True,
        "redis": {"url": "redis://redis:6379/0"},
        "auth": {"secretName": "board"},
        "ingress": {"enabled": True, "host": "board.example", "tlsSecretName": "board-tls"},
        "networkPolicy": {"enabled": True},
    },
}


def read_version(root: Path) -> str:
    """The one that counts: pyproject.toml's."""
    version: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version


def version_problems(root: Path, tracked: Iterable[str]) -> Iterator[str]:
    """Where another version is said than pyproject.toml's, and a changelog that does not know it; one line each."""
    version = read_version(root)
    for name in ("version", "appVersion"):
        (said,) = re.findall(rf"^{name}: (\S+)$", (root / CHART).read_text(encoding="utf-8"), re.MULTILINE)
        if said != version:
            yield f"{CHART}: {name} is {said}; pyproject.toml has {version}"
    for path in tracked:
        if path.endswith((".md", ".yaml", ".tpl", ".txt")):
            for tag in IMAGE.findall((root / path).read_text(encoding="utf-8")):
                if tag != version:
                    yield f"{path}: an image's tag is {tag}; pyproject.toml has {version}"
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", changes, re.MULTILINE)
    if headings[:1] != ["Unreleased"] or not any(it.split(" - ")[0] == version for it in headings):
        yield f"CHANGELOG.md: wants the sections Unreleased and {version}; has {', '.join(headings)}"


def wheel_problems(names: Collection[str], tracked: Collection[str]) -> Iterator[str]:
    """What the wheel lacks of the packages' files in git, and what it has beside them."""
    expected = {
        f"{package}/{path.removeprefix(f'{source}/')}"
        for package, source in PACKAGES.items()
        for path in tracked
        if path.startswith(f"{source}/")
    }
    found = {name for name in names if ".dist-info/" not in name}
    yield from (f"the wheel lacks {name}" for name in sorted(expected - found))
    yield from (f"the wheel has {name}, which is not in git" for name in sorted(found - expected))
    yield from (f"no py.typed in {package}" for package in PACKAGES if f"{package}/py.typed" not in expected)


def sdist_problems(names: Collection[str], tracked: Collection[str]) -> Iterator[str]:
    """What the sdist, whose names begin with its own folder's, lacks of what is in git, and what it has beside that."""
    found = {name.partition("/")[2] for name in names} - {"PKG-INFO"}
    yield from (f"the sdist lacks {name}" for name in sorted(set(tracked) - found))
    yield from (f"the sdist has {name}, which is not in git" for name in sorted(found - set(tracked)))


def copied(dockerfile: str) -> list[str]:
    """What a Dockerfile takes from its context: the sources of each COPY that is from no other stage."""
    lines = [line.split()[1:] for line in dockerfile.splitlines() if line.startswith("COPY ")]
    return [source for words in lines if not words[0].startswith("--from") for source in words[:-1]]


def in_context(path: str, ignored: Sequence[str]) -> bool:
    """Whether a build gets this file: the last line of .dockerignore that names it, or a folder above it, decides."""
    places = [path, *map(str, PurePosixPath(path).parents)]
    is_in = True
    for line in ignored:
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").strip("/")
        if any(re.fullmatch(_as_regex(pattern), place) for place in places):
            is_in = line.startswith("!")
    return is_in


def context_problems(dockerfile: str, context: Collection[str]) -> Iterator[str]:
    """What the Dockerfile copies and the context does not have."""
    for source in copied(dockerfile):
        if not any(path == source or path.startswith(f"{source.rstrip('/')}/") for path in context):
            yield f"COPY {source}: not in the build's context; see .dockerignore"


def constraints(lock: str) -> str:
    """A lock file as constraints for an installation without hashes, such as that of a wheel just built."""
    lines = [line.removesuffix(" \\") for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    return "\n".join(lines) + "\n"


def images(manifests: Iterable[Mapping[str, Any] | None]) -> list[str]:
    """The images of all Deployments among rendered objects."""
    return [
        container["image"]
        for one in manifests
        if one and one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    ]


def _as_regex(pattern: str) -> str:
    """Of a pattern of .dockerignore: `**` is any number of folders, `*` is within one."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(parts.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))
