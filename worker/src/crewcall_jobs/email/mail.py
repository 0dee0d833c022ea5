"""A mail: what it says, and as the bytes that go over the wire (RFC 5322, RFC 2046). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, parseaddr
from typing import Final
from urllib.parse import quote, urlsplit

SAFE: Final = "%/:?#[]@!$&'()*+,;=-._~"
"""What RFC 3986 has in a URL, besides letters and digits."""
LONGEST_LINE: Final = 998
"""Characters (RFC 5322, section 2.1.1)."""


class _Whole(UnstructuredHeader, BaseHeader):
    """A header that is not folded: elsewhere than between words, that would write it as encoded words, which are none
    of a URL (RFC 2047, section 5)."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS: Final = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Whole)
# Not every server takes 8 bits.
_POLICY: Final = SMTP.clone(header_factory=_HEADERS, cte_type="7bit")


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
    made = EmailMessage(policy=_POLICY)
    made["From"] = Address(name, addr_spec=address)
    made["To"] = Address(addr_spec=mail.to)
    made["Subject"] = mail.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{key}@{address.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday reply, please
    unsubscribe = f"<{_in_ascii(mail.unsubscribe_url)}>" if mail.unsubscribe_url else ""
    if unsubscribe and len(f"List-Unsubscribe: {unsubscribe}") <= LONGEST_LINE:  # else the text alone has it
        made["List-Unsubscribe"] = unsubscribe
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(mail.text)
    made.add_alternative(mail.html, subtype="html")
    return made


def _in_ascii(url: str) -> str:
    """The same address, as it may stand in a header: host names in their ASCII form, the rest percent-encoded."""
    parts = urlsplit(url)
    host, colon, port = parts.netloc.partition(":")
    netloc = parts.netloc if parts.netloc.isascii() else f"{host.encode('idna').decode()}{colon}{port}"
    rest = url.partition("//")[2][len(parts.netloc) :]
    return f"{parts.scheme}://{netloc}{quote(rest, safe=SAFE)}"
