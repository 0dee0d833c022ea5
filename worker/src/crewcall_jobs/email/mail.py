"""A mail: what it says, and as the bytes that go over the wire (RFC 5322, RFC 2046). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr


@dataclass(frozen=True, slots=True)
class Mail:
    """What it says, as text and as HTML. `unsubscribe_url` is one that takes a POST (RFC 8058), or empty."""

    to: str
    subject: str
    text: str
    html: str
    unsubscribe_url: str = ""


def message(mail: Mail, sender: str, key: str, now: datetime) -> EmailMessage:
    """The message. Its Message-ID comes from `key`, so that a second copy can be told from a second mail."""
    name, address = parseaddr(sender)
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(name, addr_spec=address)
    made["To"] = Address(addr_spec=mail.to)
    made["Subject"] = mail.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{key}@{address.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday reply, please
    if mail.unsubscribe_url:
        made["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(mail.text)
    made.add_alternative(mail.html, subtype="html")
    return made
