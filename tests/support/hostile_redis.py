"""A server that speaks Redis's protocol far enough to be taken for one, and then answers whatever it likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

#: What a client asks before its first question.
GREETINGS = (b"AUTH", b"CLIENT", b"SELECT")
PIECE = 65_536


@dataclass
class HostileRedis:
    """Where it is, how many connections it was asked on, and how many bytes it got rid of."""

    url: str = ""
    asked: int = 0
    sent: int = 0


@asynccontextmanager
async def hostile_redis(answer: bytes, endless: bytes = b"", most: int = 0) -> AsyncIterator[HostileRedis]:
    """It has this one `answer` to each question, and goes on with `endless` for as long as it is listened to, or until
    it has sent `most` bytes."""
    server = HostileRedis()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_asked = False
        try:
            while head := await reader.readline():
                words = [await _word(reader) for _ in range(int(head[1:]))]
                if words[0] in GREETINGS:
                    writer.write(b"+OK\r\n")
                    continue
                server.asked += not is_asked
                is_asked = True
                writer.write(answer)
                while endless and server.sent < most:
                    writer.write(endless)
                    await writer.drain()
                    server.sent += len(endless)
        except OSError:
            pass  # nobody listens any more
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        server.url = f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
        yield server


async def _word(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readline())[1:])
    return (await reader.readexactly(size + 2))[:-2]
