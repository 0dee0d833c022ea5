"""One HTTP request at a time, bounded in every way: time, size, redirects, and whom it may reach.

aiohttp does the work, in an event loop of the job's own thread. An address is judged at the last moment, when a socket
is made for it (`socket_factory`): after every look-up of a name, for every redirect, however the host was written.
What fails is told without the path and the query of the URL, which may be a secret of somebody.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from crewcall_jobs.errors import Unreachable
from crewcall_jobs.shown import shown
from crewcall_jobs.web.addresses import may_reach
from crewcall_jobs.web.looping import run
from crewcall_worker.queues import Reject
from crewcall_worker.variables import Network

USER_AGENT: Final = "Crewcall"
PIECE: Final = 65_536
NO_ADDRESS: Final = "not an http or https address, or it redirects to one that is none"


@dataclass(frozen=True, slots=True)
class Request:
    """`redirects`: how many are followed; 0 answers with the redirect itself. `status_only`: the answer's body is not
    waited for, whatever it is."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    redirects: int = 0
    status_only: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. The names of `headers` are in small letters. `url`: where the redirects led
    to."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Web:
    """Who may be reached, and how much of it. `timeout` in seconds for a whole request; `ca` is a file, or empty.

    `allowed` is None where everybody may be reached: for addresses that the operator of this worker has set.
    """

    timeout: float
    most_bytes: int
    allowed: Sequence[Network] | None
    ca: str = ""

    def send(self, request: Request) -> Answer:
        """The answer, of any status. Raises `Unreachable`, and `Reject` for what another try would not mend."""
        guard = _Guard(self.allowed)
        whom = origin(request.url)
        try:
            return run(self._send(request, guard))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError) as error:
            raise Reject(f"{whom}: {NO_ADDRESS}") from error
        except aiohttp.TooManyRedirects as error:
            raise Reject(f"{whom}: more than {request.redirects} redirects") from error
        except TimeoutError as error:
            raise Unreachable(whom, f"no whole answer within {self.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            if guard.refused:
                raise Reject(f"{whom}: leads to {guard.refused[0]}, which is not public") from error
            raise Unreachable(whom, _why(error)) from error
        except ValueError as error:  # the system's resolver takes no NUL; an SSLError is one too, but told above
            raise Reject(f"{whom}: {NO_ADDRESS}") from error

    async def _send(self, request: Request, guard: _Guard) -> Answer:
        connector = aiohttp.TCPConnector(
            socket_factory=guard,
            resolver=aiohttp.ThreadedResolver(),  # the system's own, whatever else is installed
            ssl=_trust(self.ca),
            limit=1,
            force_close=True,
        )
        async with (
            asyncio.timeout(self.timeout),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"User-Agent": USER_AGENT},
            ) as session,
            session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                allow_redirects=request.redirects > 0,
                max_redirects=request.redirects + 1,  # aiohttp gives up when it has so many
            ) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = b"" if request.status_only else await self._body(response)
            return Answer(response.status, headers, body, str(response.url))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in response.content.iter_chunked(PIECE):
            body += piece
            if len(body) > self.most_bytes:
                raise Reject(f"{origin(str(response.url))}: answers with more than {self.most_bytes} bytes")
        return bytes(body)


class _Guard:
    """Makes the sockets, for addresses that may be reached; `refused` are the others that were asked for."""

    def __init__(self, allowed: Sequence[Network] | None) -> None:
        self._allowed = allowed
        self.refused: list[str] = []

    def __call__(self, addr_info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = addr_info
        if self._allowed is not None and not may_reach(address[0], self._allowed):
            self.refused.append(address[0])
            raise PermissionError(f"{address[0]} is not public")
        return socket.socket(family, kind, protocol)


@functools.cache
def _trust(ca: str) -> ssl.SSLContext:
    # Reading the authorities takes longer than most requests.
    return ssl.create_default_context(cafile=ca or None)


def origin(url: str) -> str:
    """Scheme, host and port, for people: the rest of a URL may hold what is not for logs."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate is not trusted, or it does not speak TLS"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorError():
            return f"no connection ({os.strerror(error.os_error.errno or 0)})"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return "the connection was closed before the answer"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
    return type(error).__name__
