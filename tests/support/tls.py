"""TLS before a real Redis, as a stunnel would do it: the embedded server is built without."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import trustme


@dataclass(frozen=True, slots=True)
class Tls:
    """Where it listens, and the authority in PEM by which it can be verified."""

    port: int
    authority: str

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"


@asynccontextmanager
async def tls_before(port: int) -> AsyncIterator[Tls]:
    """TLS on a port of its own before what listens on `port` of the loopback."""
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, behind_writer), _copy(behind_reader, writer))

    server = await asyncio.start_server(join, "127.0.0.1", 0, ssl=context)
    async with server:
        yield Tls(server.sockets[0].getsockname()[1], authority.cert_pem.bytes().decode())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
