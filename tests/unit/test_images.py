"""What the Dockerfiles promise of both images, as far as it can be told without building them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = [ROOT / "Dockerfile.operator", ROOT / "Dockerfile.worker"]


def test_both_images_are_built_on_one_base_that_is_pinned_by_digest() -> None:
    bases = {line for path in DOCKERFILES for line in path.read_text().splitlines() if "BASE_IMAGE=" in line}

    (base,) = bases
    assert re.fullmatch(r"ARG BASE_IMAGE=docker\.io/library/python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_runs_as_a_user_of_no_rights_whom_the_kubelet_can_tell_from_root(path: Path) -> None:
    """runAsNonRoot is checked by number only, so the user must be one."""
    users = [line for line in path.read_text().splitlines() if line.startswith("USER ")]

    assert users == ["USER 65532:65532"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_no_program_of_an_image_may_raise_its_rights(path: Path) -> None:
    """In the stage that ships, of all that its base brings; what is copied in later was built by pip, as root's own."""
    _, shipped = path.read_text().rsplit("\nFROM ", 1)

    assert "RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +" in shipped.partition("COPY ")[0]
    assert "ADD " not in shipped
    assert "--chmod" not in shipped


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_in_an_image_all_may_write_to_tmp_alone(path: Path) -> None:
    _, shipped = path.read_text().rsplit("\nFROM ", 1)

    assert "find / -xdev -perm -0002 ! -type l ! -path /tmp -exec chmod o-w {} +" in shipped.partition("COPY ")[0]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_carries_the_list_of_what_is_in_it(path: Path) -> None:
    text = path.read_text()

    assert "cyclonedx-py environment" in text
    assert "cyclonedx-bom==" in (ROOT / "requirements" / "build.lock").read_text()


def test_the_operator_does_without_the_part_of_the_kubernetes_client_that_its_image_leaves_out() -> None:
    removed = re.findall(
        r"^RUN rm -r /opt/crewcall/lib/python3\*/site-packages/(\S+)$", (DOCKERFILES[0]).read_text(), re.M
    )
    script = (
        "import sys; import crewcall_operator.main, crewcall_operator.inspection.command;"
        "print(*sorted(name for name in sys.modules if name.startswith(tuple(sys.argv[1:]))))"
    )
    modules = [path.replace("/", ".") for path in removed]

    done = subprocess.run([sys.executable, "-c", script, *modules], check=True, capture_output=True, text=True)

    assert (modules, done.stdout.strip()) == (["kubernetes.aio"], "")
