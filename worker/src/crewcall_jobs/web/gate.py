"""The gate through which a browser reaches the web: a SOCKS5 proxy (RFC 1928) that lets it to public addresses only.

A browser looks names up by itself, follows redirects, and runs what a page tells it to run; so it is not asked to be
careful. It has no other way out than this one, where each address is judged when it is connected to, and bytes are
counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType
from typing import Final, Self

from crewcall_jobs.web.addresses import may_reach
from crewcall_worker.variables import Network

VERSION: Final = 5
CONNECT: Final = 1
DONE, NOT_ALLOWED, UNREACHABLE = 0, 2, 4
PIECE: Final = 65_536
CONNECT_TIMEOUT: Final = 10.0


class Gate:
    """A proxy on a port of its own, while the context lasts. `refused` are the addresses that it did not let
    through."""

    def __init__(self, allowed: Sequence[Network], most_bytes: int) -> None:
        self._allowed, self._left = allowed, most_bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused: list[str] = []
        self.port = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether more came than may come."""
        return self._left < 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, UnicodeError):
                host, port = await _asked(reader, writer)
                far = await self._connected(host, port, writer)
                if far is not None:
                    await self._join(reader, writer, *far)
        finally:
            writer.close()

    async def _connected(
        self, host: str, port: int, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        outcome = UNREACHABLE
        with contextlib.suppress(OSError):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for address in dict.fromkeys(str(entry[4][0]) for entry in found):
                if not may_reach(address, self._allowed):
                    self.refused.append(address)
                    outcome = NOT_ALLOWED
                    continue
                with contextlib.suppress(OSError):
                    async with asyncio.timeout(CONNECT_TIMEOUT):
                        far = await asyncio.open_connection(address, port)
                    writer.write(_reply(DONE))
                    return far
        writer.write(_reply(outcome))
        await writer.drain()
        return None

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, far_writer))
                both.create_task(self._copy(far_reader, writer, counted=True))
        except* OSError:
            pass  # either side may go at any time
        finally:
            far_writer.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counted: bool = False) -> None:
        while data := await source.read(PIECE):
            if counted:
                self._left -= len(data)
                if self.is_exhausted:
                    raise ConnectionAbortedError("more than may come")
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Whom the browser wants: a host, by name or by number, and a port."""
    version, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    if version != VERSION:
        raise ConnectionError("not SOCKS5")
    writer.write(bytes((VERSION, 0)))  # it need not log in
    _, command, _, kind = await reader.readexactly(4)
    if command != CONNECT:
        raise ConnectionError("not CONNECT")
    if kind == 1:
        host = str(IPv4Address(await reader.readexactly(4)))
    elif kind == 4:
        host = str(IPv6Address(await reader.readexactly(16)))
    else:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode("ascii")
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    return host, port


def _reply(outcome: int) -> bytes:
    return bytes((VERSION, outcome, 0, 1, 0, 0, 0, 0, 0, 0))
