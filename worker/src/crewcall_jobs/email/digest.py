"""A digest, rendered. Pure, but for the templates' files."""

from __future__ import annotations

from crewcall_jobs.email.mail import Mail
from crewcall_jobs.email.payload import Digest
from crewcall_jobs.templates import Templates


def mail_of(digest: Digest, templates: Templates) -> Mail:
    """Raises `Reject` where a template is at fault."""
    return Mail(
        to=digest.to,
        subject=digest.subject,
        text=templates.render("digest.txt", digest=digest),
        html=templates.render("digest.html", digest=digest),
        unsubscribe_url=digest.unsubscribe_url or "",
    )
