"""What `rules.run` carries: a whole rule. Where rules are kept is the application's affair."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from crewcall_jobs.alerts.payload import MOST_CHANNELS, Channel, Severity
from crewcall_jobs.contacts import Line, WebUrl
from crewcall_jobs.parts import Part
from crewcall_worker.queues import Payload

RuleId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class CssExtract(Part):
    """The text of what a CSS selector finds in HTML, or one of its attributes."""

    kind: Literal["css"] = "css"
    selector: Expression
    attribute: Annotated[str, StringConstraints(max_length=100)] = ""


class JsonExtract(Part):
    """What a JSON path (RFC 9535) finds in JSON."""

    kind: Literal["json"] = "json"
    path: Expression


class Rule(Payload):
    """Fetch, extract, compare with what the last run found, and alert on a change.

    `allow_empty`: nothing found is a result like any other. `browser`: the page is fetched by a headless browser,
    which runs its scripts; for that a worker wants the extra `browser`. No `channels`: changes are stored, and nobody
    is told.
    """

    rule_id: RuleId
    name: Line = Field(repr=False)
    url: WebUrl = Field(repr=False)
    extract: CssExtract | JsonExtract = Field(discriminator="kind", repr=False)
    allow_empty: bool = False
    browser: bool = False
    severity: Severity = Severity.INFO
    channels: Annotated[tuple[Channel, ...], Field(max_length=MOST_CHANNELS)] = Field(default=(), repr=False)
