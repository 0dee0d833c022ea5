"""What goes wrong in answering a request, as everybody is told it: a status, a title, and what to do.

The API answers it as JSON (RFC 9457, application/problem+json), pages as a page. Nothing of the inside is in it: what
Redis or a library says goes to the log.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from pydantic import BaseModel, Field

PROBLEM_JSON = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered as asked."""

    title: str = Field(examples=["Forbidden"])
    status: int = Field(examples=[403])
    detail: str = Field(examples=["jane is a viewer; this takes the role operator"])


class Refusal(Exception):
    """The parent of all: its words are for whoever asked."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    @property
    def problem(self) -> Problem:
        """As it is answered."""
        return Problem(title=self.status.phrase, status=int(self.status), detail=str(self))

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        return {}


class NotSignedIn(Refusal):
    """Nobody knows who asks."""

    status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Refusal):
    """Who asks may not do that, or not here."""

    status = HTTPStatus.FORBIDDEN


class NotThere(Refusal):
    """What was asked for is not there, or not any more."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Refusal):
    """It is there, but not in a state in which that can be done."""

    status = HTTPStatus.CONFLICT


class Invalid(Refusal):
    """What is asked cannot be understood."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooLarge(Refusal):
    """The request has more in it than anybody needs to say."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooOften(Refusal):
    """Too many tries; `seconds` until the next one is looked at."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed attempts from your address. Try again in {seconds} s")
        self.seconds = seconds

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.seconds)}


class Unavailable(Refusal):
    """Redis, or the issuer of tokens, does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "5"}
