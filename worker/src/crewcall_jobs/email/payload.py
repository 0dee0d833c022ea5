"""What `email.digest` carries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from crewcall_jobs.contacts import EmailAddress, Line, WebUrl
from crewcall_jobs.parts import Part
from crewcall_worker.queues import Payload

Text = Annotated[str, StringConstraints(max_length=10_000)]


class DigestItem(Part):
    """One thing to tell of."""

    title: Line
    url: WebUrl | None = None
    summary: Text = ""


class DigestSection(Part):
    """Things of one kind."""

    title: Line
    items: Annotated[tuple[DigestItem, ...], Field(min_length=1, max_length=200)]


class Digest(Payload):
    """A digest for one person. `unsubscribe_url` goes into the mail and its header, where it serves one click (RFC
    8058)."""

    to: EmailAddress = Field(repr=False)
    subject: Line = Field(repr=False)
    greeting: Text = Field(default="", repr=False)
    sections: Annotated[tuple[DigestSection, ...], Field(min_length=1, max_length=50)] = Field(repr=False)
    unsubscribe_url: WebUrl | None = Field(default=None, repr=False)
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
