"""What `sms.send` carries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from crewcall_jobs.contacts import PhoneNumber
from crewcall_worker.queues import Payload


class Sms(Payload):
    """A text message to one number; `sender` in the place of the one that is set for all, where the provider allows
    it."""

    to: PhoneNumber = Field(repr=False)
    text: Annotated[str, StringConstraints(min_length=1, max_length=1600)] = Field(repr=False)
    sender: Annotated[str, StringConstraints(max_length=20, pattern=r"^(\+?[A-Za-z0-9 ]+)?$")] = ""
