"""What a release must contain, and its number: one, wherever it is said."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from scripts import release_contents as contents
from scripts.release_build import Release
from scripts.release_check import STEPS, Step, artefacts, take

from crewcall_operator.cli import main as crewcall
from crewcall_worker.cli import main as crewcall_worker

ROOT = Path(__file__).parents[2]
#: What is in git; in a copy without git, what lies there.
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True
).stdout.splitlines() or [
    str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts
]
IGNORED = ["# all but", "*", "!LICENSE", "!operator/src", "!requirements/*.lock", "**/__pycache__"]


def test_one_version_is_said_everywhere() -> None:
    assert list(contents.version_problems(ROOT, TRACKED)) == []


def test_both_commands_say_that_version() -> None:
    said = [CliRunner().invoke(command, ["--version"]).output.split()[-1] for command in (crewcall, crewcall_worker)]

    assert said == [contents.read_version(ROOT)] * 2


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One where all is said as it should be: version 1.2.3."""
    (tmp_path / contents.CHART).parent.mkdir(parents=True)
    (tmp_path / contents.CHART).write_text("name: crewcall\nversion: 1.2.3\nappVersion: 1.2.3\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## Unreleased\n\n## 1.2.3 - 2026-11-22\n\n- All.\n")
    (tmp_path / "pool.yaml").write_text("image: localhost/crewcall-worker:1.2.3\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        (str(contents.CHART), "version: 1.2.3\nappVersion: 1.2.2\n", "charts/crewcall/Chart.yaml: appVersion is 1.2.2"),
        ("pool.yaml", "image: localhost/crewcall-worker:1.2.2\n", "pool.yaml: an image's tag is 1.2.2"),
        ("CHANGELOG.md", "## Unreleased\n\n## 1.2.2\n", "CHANGELOG.md: wants the sections Unreleased and 1.2.3"),
        ("CHANGELOG.md", "## 1.2.3\n", "CHANGELOG.md: wants the sections Unreleased and 1.2.3"),
    ],
)
def test_another_version_is_told_with_its_place(checkout: Path, file: str, text: str, problem: str) -> None:
    tracked = [str(contents.CHART), "pool.yaml", "CHANGELOG.md"]
    assert list(contents.version_problems(checkout, tracked)) == []
    (checkout / file).write_text(text)

    (told,) = contents.version_problems(checkout, tracked)

    assert told.startswith(problem)


def sources() -> Iterator[str]:
    for package, source in contents.PACKAGES.items():
        yield f"{source}/py.typed"
        yield f"{source}/{package}.lua"


def test_a_wheel_has_every_file_of_the_packages_and_no_other() -> None:
    whole = {path.rpartition("/src/")[2] for path in sources()} | {"crewcall-1.2.3.dist-info/METADATA"}
    tracked = [*sources(), "README.md"]

    assert list(contents.wheel_problems(whole, tracked)) == []
    assert list(contents.wheel_problems({*whole, "notes.txt"} - {"crewcall_jobs/crewcall_jobs.lua"}, tracked)) == [
        "the wheel lacks crewcall_jobs/crewcall_jobs.lua",
        "the wheel has notes.txt, which is not in git",
    ]
    assert "no py.typed in crewcall_jobs" in contents.wheel_problems(
        whole, [it for it in tracked if "_jobs/" not in it]
    )


def test_an_sdist_has_what_is_in_git_and_no_more() -> None:
    names = ["crewcall-1.2.3/README.md", "crewcall-1.2.3/PKG-INFO", "crewcall-1.2.3/.env"]

    assert list(contents.sdist_problems(names, ["README.md", "LICENSE"])) == [
        "the sdist lacks LICENSE",
        "the sdist has .env, which is not in git",
    ]


@pytest.mark.parametrize(
    ("path", "is_in"),
    [
        ("LICENSE", True),
        ("README.md", False),
        ("operator/src/pool/engine.py", True),
        ("operator/README.md", False),
        ("operator/src/pool/__pycache__/engine.pyc", False),
        ("requirements/worker.lock", True),
        ("requirements/old/worker.lock", False),
    ],
)
def test_the_context_of_an_image_is_what_dockerignore_leaves(path: str, is_in: bool) -> None:
    assert contents.in_context(path, IGNORED) is is_in


def test_what_a_dockerfile_copies_from_its_context_must_be_there() -> None:
    dockerfile = "FROM a AS build\nCOPY README.md LICENSE ./\nCOPY operator operator\nCOPY --from=build /opt /opt\n"

    assert contents.copied(dockerfile) == ["README.md", "LICENSE", "operator"]
    assert list(contents.context_problems(dockerfile, ["LICENSE", "operator/src/engine.py"])) == [
        "COPY README.md: not in the build's context; see .dockerignore"
    ]


@pytest.mark.parametrize("name", ["operator", "worker"])
def test_everything_that_our_dockerfiles_copy_is_in_their_context(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    context = [path for path in TRACKED if contents.in_context(path, ignored)]

    assert list(contents.context_problems((ROOT / f"Dockerfile.{name}").read_text(), context)) == []


def test_a_lock_file_is_taken_as_constraints_without_its_hashes() -> None:
    hashes = "    --hash=sha256:ab \\\n    --hash=sha256:cd\n"
    lock = f"# by uv\nclick==8.3.0 \\\n{hashes}    # via crewcall\nuvloop==1 ; os_name == 'nt'\n"

    assert contents.constraints(lock) == "click==8.3.0\nuvloop==1 ; os_name == 'nt'\n"


def test_everything_switches_on_whatever_the_chart_can_switch_on() -> None:
    values = yaml.safe_load((ROOT / "charts" / "crewcall" / "values.yaml").read_text())

    assert set(switches(values)) == set(switches(contents.EVERYTHING))


def switches(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """The path of each value named `enabled`."""
    for name, value in values.items():
        if name == "enabled":
            yield path
        elif isinstance(value, dict):
            yield from switches(value, f"{path}.{name}")


def test_artefacts_are_listed_with_their_sums(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"abc")
    (tmp_path / "a").mkdir()

    assert artefacts(tmp_path) == [
        ("b.txt", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")  # FIPS 180-2, appendix B.1
    ]


def test_a_step_that_fails_says_what_was_found_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(release: Release) -> None:
        release.run("sh", "-c", "echo no such package; exit 3", cwd=tmp_path)

    release = Release(tmp_path, "abc", "0", tmp_path / "helm", builds_images=False)

    assert not take(Step("the wheel", fail, "Look at pyproject.toml."), release, "1/1")
    assert re.sub(r"\d+ s\n", "0 s\n", capsys.readouterr().out) == (
        "[1/1] the wheel ... FAILED after 0 s\n\n"
        "sh -c echo no such package; exit 3: exit status 3\nno such package\n\nLook at pyproject.toml.\n"
    )


def test_what_a_step_runs_has_nothing_of_makes_and_of_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j8")
    monkeypatch.setenv("PYTHONPATH", "operator/src")
    release = Release(tmp_path, "abc", "1763800000", tmp_path / "helm", builds_images=False)

    variables = dict(line.split("=", 1) for line in release.run("env", cwd=tmp_path).splitlines() if "=" in line)

    assert variables.keys().isdisjoint({"MAKEFLAGS", "PYTHONPATH"})
    assert variables["TMPDIR"] == str(tmp_path)


def test_every_step_says_what_to_do() -> None:
    assert [step.words for step in STEPS if not step.remedy.endswith(".")] == []
