"""`crewcall operator` as a process of its own that cannot start: it says by what setting, and what to do."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROGRAM = str(Path(sys.executable).with_name("crewcall"))
CLUSTER = "https://127.0.0.1:1"


def run(kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"KUBECONFIG": str(kubeconfig)}
    return subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Of a cluster whose authority's certificate is none."""
    authority = tmp_path / "ca.crt"
    authority.write_text("no certificate\n")
    file = tmp_path / "kubeconfig"
    write(file, {"server": CLUSTER, "certificate-authority": str(authority)}, {"token": "t"})
    return file


def write(file: Path, cluster: dict[str, str], user: dict[str, str]) -> None:
    told = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump(told))


@pytest.mark.parametrize("election", ["--leader-election", "--no-leader-election"])
def test_an_authoritys_certificate_that_is_none_is_told_with_the_way_out(kubeconfig: Path, election: str) -> None:
    done = run(kubeconfig, "operator", election, "--listen", "127.0.0.1:0")

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"certificate-authority is '{kubeconfig.parent / 'ca.crt'}'; it cannot be used" in done.stderr
    assert "mend it in the kubeconfig, or set KUBECONFIG to another" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--namespace", "A_B"), ("-n", ""), ("--lease", "a/b/c"), ("--lease", "a/"), ("--lease", "a b")],
)
def test_what_can_be_no_name_is_refused_at_once(kubeconfig: Path, option: str, value: str) -> None:
    done = run(kubeconfig, "operator", option, value)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"Error: Invalid value for {'--lease' if option == '--lease' else '--namespace'}: {value!r} is no name. "
        "Write letters a to z, digits, '-' and '.', with a letter or digit at either end."
    )


def test_so_it_is_by_the_commands_that_look(kubeconfig: Path) -> None:
    done = run(kubeconfig, "top")

    assert (done.returncode != 0, "Traceback" in done.stderr) == (True, False)
    assert "certificate-authority is" in done.stderr


def test_a_clients_certificate_that_is_none_is_told_too(tmp_path: Path) -> None:
    for name in ("client.crt", "client.key"):
        (tmp_path / name).write_text("nothing\n")
    user = {"client-certificate": str(tmp_path / "client.crt"), "client-key": str(tmp_path / "client.key")}
    write(tmp_path / "kubeconfig", {"server": CLUSTER}, user)

    done = run(tmp_path / "kubeconfig", "operator", "--listen", "127.0.0.1:0")

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"client-certificate is '{tmp_path / 'client.crt'}'; it cannot be used" in done.stderr


def test_a_port_for_metrics_that_somebody_has_is_told_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "kubeconfig", {"server": "http://127.0.0.1:1"}, {})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(tmp_path / "kubeconfig", "operator", "--no-leader-election", "--listen", address)

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"--listen is '{address}'; nobody can listen there: Address already in use" in done.stderr
    assert "Name another HOST:PORT" in done.stderr
