"""Programs for tests out of Debian's packages: those on the PATH, or else unpacked into `.tools/`, installing nothing.

apt fetches a package from the mirrors that the machine is set up with and checks it as ever; where its lists are not
there, it gets lists of its own. What a program is used for belongs to the tests.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.tools import FETCH_TIMEOUT_S, TOOLS, ToolMissing, one_at_a_time


def find_program(package: str, name: str) -> Path:
    """Where the program `name` of a Debian package is, fetching it if need be. Raises `ToolMissing`."""
    if on_path := shutil.which(name):
        return Path(on_path)
    unpacked = TOOLS / f"debian-{package}"
    with one_at_a_time():
        if not unpacked.is_dir():
            _fetch(package, unpacked)
    return unpacked / "usr" / "bin" / name


def _fetch(package: str, target: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise ToolMissing(f"no {package} on the PATH, and no {tool} to fetch Debian's with")
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        found = _download(package, Path(folder))
        unpacked = Path(folder) / "unpacked"
        _run(package, "dpkg-deb", "--extract", str(found), str(unpacked))
        unpacked.rename(target)


def _download(package: str, folder: Path) -> Path:
    try:
        _apt(package, folder, "download", package)
    except ToolMissing:
        lists = folder / "lists" / "partial"
        lists.mkdir(parents=True)
        own = ("-o", f"Dir::State::lists={lists.parent}", "-o", f"Dir::Cache={folder / 'cache'}")
        _apt(package, folder, *own, "update")
        _apt(package, folder, *own, "download", package)
    (found,) = folder.glob("*.deb")
    return found


def _apt(package: str, folder: Path, *arguments: str) -> None:
    _run(package, "apt-get", "-o", "APT::Sandbox::User=", *arguments, folder=folder)


def _run(package: str, *command: str, folder: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        raise ToolMissing(f"no {package} on the PATH, and {command[0]} failed: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolMissing(f"no {package} on the PATH, and {command[0]} took over {FETCH_TIMEOUT_S} s") from error
