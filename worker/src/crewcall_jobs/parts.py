"""The parent of what payloads are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """As strict as a payload, without an organisation of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
