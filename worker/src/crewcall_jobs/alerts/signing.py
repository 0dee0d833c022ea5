"""Signatures of webhooks, as the Standard Webhooks have them (https://www.standardwebhooks.com, version 1.0.0). Pure.

Each organisation has a secret of its own, made from the installation's: whoever receives one organisation's webhooks
can forge none of another's, and no secrets need be kept. Of several secrets of the installation each signs, so that
one can be changed without a webhook being lost.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"


def secret_of(master: str, organization_id: str) -> str:
    """An organisation's secret, in the form that receivers' libraries take."""
    key = hmac.new(master.encode(), f"crewcall webhook {organization_id}".encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(key).decode()


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook; `timestamp` in seconds since 1970, `secrets` as of `secret_of`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
