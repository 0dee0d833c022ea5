"""What a typed job carries: a pydantic model that knows whose job it is.

It is checked when it is made, so before it is enqueued, and again when the job is run: by then producer and worker may
be of different versions.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

OrganizationId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
"""Letters, digits, ".", "_" and "-": it becomes a part of keys, labels and log lines."""


class Payload(BaseModel):
    """The parent of every job's payload. Without an `organization_id` it neither type-checks nor exists."""

    # What is wrong with an input goes into logs and dead letters; the input itself, which may be a person's, does not.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    organization_id: OrganizationId

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Raises `TypeError` where a class has an `organization_id` of its own, which could be anything."""
        super().__pydantic_init_subclass__(**kwargs)
        for parent in cls.__mro__:
            if parent is not Payload and "organization_id" in inspect.get_annotations(parent):
                raise TypeError(f"{parent.__name__} has an organization_id of its own; leave it out, Payload has it")


def made_by_factories(payload: Payload) -> set[str]:
    """The names of the fields that nobody has given and a `default_factory` has made."""
    return {
        name
        for name, field in type(payload).model_fields.items()
        if field.default_factory is not None and name not in payload.model_fields_set
    }
