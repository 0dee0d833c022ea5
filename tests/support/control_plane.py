"""A real control plane for the tests: etcd, kube-apiserver and, where it is there, kube-controller-manager.

Everything listens on free ports of 127.0.0.1, lives in one temporary folder, and is ended by its own process id. No
kubelet is among them: pods are made, and never run.

KUBEBUILDER_ASSETS    the folder of the programs, by the convention of envtest
"""

from __future__ import annotations

import os
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.api_cluster import ApiCluster, Capabilities
from tests.support.ports import free_port
from tests.support.waiting import wait_until

#: Empty where there is no real control plane to test against.
ASSETS = os.environ.get("KUBEBUILDER_ASSETS", "")
#: Seconds for one of the programs to become ready, on a busy machine.
START = 90.0
_CONTROLLERS = (
    "deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller,"
    "serviceaccount-controller"
)


@contextmanager
def control_plane(assets: Path, folder: Path) -> Iterator[ApiCluster]:
    """The API of a control plane that runs while the block does. Enter what it gives to use it."""
    etcd_port, peer_port, port = (free_port() for _ in range(3))
    token = secrets.token_urlsafe(24)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    url = f"https://127.0.0.1:{port}"
    with ExitStack() as running:
        _start(
            running,
            folder,
            assets / "etcd",
            f"--data-dir={folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
            f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
        )
        _start(
            running,
            folder,
            assets / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
        )
        wait_until(lambda: _answers(f"{url}/readyz", token), f"kube-apiserver ready (see {folder})", START)
        manager = assets / "kube-controller-manager"
        if manager.exists():
            kubeconfig = ApiCluster(url, token, Capabilities(False, False)).write_kubeconfig(folder)
            _start(
                running,
                folder,
                manager,
                f"--kubeconfig={kubeconfig}",
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                "--leader-elect=false",
                f"--controllers={_CONTROLLERS}",
            )
            account = f"{url}/api/v1/namespaces/default/serviceaccounts/default"
            wait_until(lambda: _answers(account, token), f"kube-controller-manager at work (see {folder})", START)
        yield ApiCluster(url, token, Capabilities(has_pods=manager.exists(), runs_pods=False))


def _start(running: ExitStack, folder: Path, program: Path, *arguments: str) -> None:
    log = running.enter_context((folder / f"{program.name}.log").open("w"))
    process = subprocess.Popen([str(program), *arguments], stdout=log, stderr=subprocess.STDOUT)
    running.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(url: str, token: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  https
    context = ssl._create_unverified_context()  # noqa: S323  on loopback, of our own making
    try:
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
