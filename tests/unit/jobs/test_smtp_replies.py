"""What a mail server's reply means."""

from __future__ import annotations

import pytest

from crewcall_jobs.email.replies import refusal
from crewcall_jobs.errors import Undelivered
from crewcall_worker.queues import Reject


@pytest.mark.parametrize(
    ("code", "text", "kind", "told"),
    [
        (550, b"5.1.1 <ada@example.com>: no such user", Reject, "550 5.1.1"),
        (554, "5.7.1 rejected as spam", Reject, "554 5.7.1"),
        (552, b"mailbox of ada@example.com is full", Reject, "552"),
        (421, b"4.3.2 come back later", Undelivered, "421 4.3.2"),
        (450, b"4.2.0 <ada@example.com>: greylisted", Undelivered, "450 4.2.0"),
        (452, b"", Undelivered, "452"),
        (530, b"5.7.0 log in first", Undelivered, "530 5.7.0"),
        (250, b"what?", Undelivered, "250"),
    ],
)
def test_5xx_is_for_good_unless_it_is_of_our_login(code: int, text: bytes | str, kind: type, told: str) -> None:
    error = refusal("mail:587", code, text, "the recipient")

    assert (type(error), str(error)) == (kind, f"mail server mail:587 answered {told} to the recipient")
