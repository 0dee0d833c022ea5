"""The doors: by which a request comes in, and whose it is.

There are three: a bearer token (the API's), a session's cookie (the pages'), and logging in, which makes the second out
of the first, or out of the ticket that `crewcall local` prints. Each failed try is counted by its address. Sync, for
Redis is asked: call it in a thread.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from crewcall_worker.board.addresses import is_loopback
from crewcall_worker.board.audit import Audit, Outcome
from crewcall_worker.board.people import Person, Role
from crewcall_worker.board.problems import NotSignedIn, TooOften, Unavailable
from crewcall_worker.board.sessions import Session, Sessions
from crewcall_worker.board.settings import BoardSettings
from crewcall_worker.board.tokens import IssuerSilent, TokenRefused, Tokens
from crewcall_worker.board.tries import Tries

COOKIE = "crewcall_board"
LOGINS, BEARERS = 10, 60
"""Failed tries in a minute from one address."""
TICKET_HOURS = 24 * 7


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's: who it is from, and by which session, None by a bearer token."""

    person: Person
    session: Session | None
    address: str

    @property
    def csrf(self) -> str:
        """What the page's forms have to bring along."""
        return self.session.csrf if self.session else ""


class Doors:
    """Of one board. Every call may raise `redis.RedisError`."""

    def __init__(self, settings: BoardSettings, tokens: Tokens, sessions: Sessions, audit: Audit) -> None:
        self._settings = settings
        self._tokens = tokens
        self._sessions = sessions
        self._audit = audit
        self._logins = Tries(LOGINS, 60.0)
        self._bearers = Tries(BEARERS, 60.0)
        self._ticket = settings.ticket
        self._ticket_lock = threading.Lock()

    def enter(self, request: Request) -> Visit:
        """Whose request it is. Where it has a bearer token, that alone counts; other schemes are for a proxy before
        the board, and the cookie counts.

        Raises `NotSignedIn`, `TooOften`, `Unavailable`. A page that stays open asks again now and then.
        """
        address = address_of(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return Visit(self._bearer(token.strip(), address), None, address)
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if session is None:
            raise NotSignedIn("sign in first: with a session, or with a bearer token")
        return Visit(session.person, session, address)

    def log_in(self, request: Request, token: str) -> Session:
        """A session for whoever has this token. Raises `NotSignedIn`, `TooOften`, `Unavailable`."""
        address = self._check_tries(request)
        try:
            person = self._tokens.person(token.strip())
        except TokenRefused as error:
            raise self._refused(address, str(error)) from error
        except IssuerSilent as error:
            raise Unavailable(f"nobody can be let in now: {error}") from error
        return self._opened(request, person, "token")

    def log_in_by_ticket(self, request: Request, ticket: str) -> Session:
        """A session for the first who has the ticket. Raises `NotSignedIn`, `TooOften`."""
        address = self._check_tries(request)
        with self._ticket_lock:
            if self._ticket and secrets.compare_digest(ticket.encode(), self._ticket.encode()):
                until = time.time() + TICKET_HOURS * 3600
                session = self._opened(request, Person("local", Role.OPERATOR, until), "ticket")
                self._ticket = ""  # spent on a session, and on nothing less
                return session
        raise self._refused(address, "this ticket is used already, or none. Restart what printed it for another")

    def log_out(self, visit: Visit) -> None:
        """End the session, everywhere."""
        if visit.session is not None:
            self._sessions.close(visit.session.id)
            self._audit.note(visit.person.subject, "logout", "the board", Outcome.DONE, address=visit.address)

    def hand_out(self, request: Request, response: Response, session: Session) -> None:
        """Put the session's cookie on an answer."""
        response.set_cookie(
            COOKIE,
            session.id,
            max_age=max(0, int(session.person.until - time.time())),
            path=self._settings.prefix or "/",
            secure=self.is_secure(request),
            httponly=True,
            samesite="strict",
        )

    def take_back(self, request: Request, response: Response) -> None:
        """Take the cookie off a browser."""
        response.delete_cookie(
            COOKIE,
            path=self._settings.prefix or "/",
            secure=self.is_secure(request),
            httponly=True,
            samesite="strict",
        )

    def is_secure(self, request: Request) -> bool:
        """Whether the cookie is for TLS alone. It is, but where this machine alone reaches the board, without TLS."""
        if request.url.scheme == "https" or "https" in request.headers.get("x-forwarded-proto", ""):
            return True
        if not is_loopback(request.url.hostname or ""):
            return True
        # A proxy may have put that name there: a browser says what it sees. In a container, all addresses listen.
        origin = request.headers.get("origin")
        if origin is None:
            return not self._settings.is_loopback
        return not (origin.startswith("http://") and is_loopback(origin_host(origin)))

    def _bearer(self, token: str, address: str) -> Person:
        if not token:
            raise NotSignedIn("the header Authorization is none; expected: Bearer TOKEN")
        if seconds := self._bearers.wait_for(address):
            raise TooOften(seconds)
        try:
            return self._tokens.person(token)
        except TokenRefused as error:
            if error.is_forged:  # one that has expired is no guess
                self._bearers.count(address)
            raise NotSignedIn(str(error)) from error
        except IssuerSilent as error:
            raise Unavailable(f"nobody can be let in now: {error}") from error

    def _check_tries(self, request: Request) -> str:
        address = address_of(request)
        if seconds := self._logins.wait_for(address):
            raise TooOften(seconds)
        return address

    def _refused(self, address: str, words: str) -> NotSignedIn:
        self._logins.count(address)
        self._audit.note("", "login", "the board", Outcome.REFUSED, detail=words, address=address)
        return NotSignedIn(words)

    def _opened(self, request: Request, person: Person, by: str) -> Session:
        self._sessions.close(request.cookies.get(COOKIE, ""))
        session = self._sessions.open(person)
        detail = f"as {person.role}, by a {by}"
        self._audit.note(person.subject, "login", "the board", Outcome.DONE, detail=detail, address=address_of(request))
        return session


def origin_host(origin: str) -> str:
    """The name in an Origin, without its port; "" where there is none."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def address_of(request: Request) -> str:
    """Where a request comes from: behind a proxy that is trusted, what that says."""
    return request.client.host if request.client else ""
