"""What a mail server's reply means: to be tried again, or never (RFC 5321, section 4.2.1). Pure.

A reply's text often repeats an address, so only its codes are told: 550, and 5.1.1 (RFC 3463).
"""

from __future__ import annotations

import re
from typing import Final

from crewcall_jobs.errors import Undelivered
from crewcall_worker.queues import Reject

ENHANCED: Final = re.compile(rb"\b([245]\.\d{1,3}\.\d{1,3})\b")
# Who we are, and not the mail, is what the server does not take (RFC 4954): ours to mend in the settings.
OF_THE_LOGIN: Final = frozenset({421, 432, 454, 500, 502, 503, 504, 530, 534, 535, 538})


def refusal(server: str, code: int, text: bytes | str, step: str) -> Reject | Undelivered:
    """What to raise for a reply that was no yes, to a `step` such as "the recipient"."""
    said = ENHANCED.search(text if isinstance(text, bytes) else text.encode(errors="replace"))
    what = f"mail server {server} answered {code}{' ' + said[1].decode() if said else ''} to {step}"
    if 500 <= code < 600 and code not in OF_THE_LOGIN:
        return Reject(what)
    return Undelivered(what)
