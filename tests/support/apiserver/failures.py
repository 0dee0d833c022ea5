"""The failures an API server answers with, in the words and numbers of the real one.

Shapes: `k8s.io/apimachinery/pkg/api/errors` (reasons and messages) and `.../util/validation/field` (causes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.apiserver.kinds import Resource


class Failure(Exception):
    """A request that is answered with a `Status` of failure."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.headers = dict(headers or {})
        self.metadata = dict(metadata or {})

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            status["details"] = dict(self.details)
        return status


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with one field, as `field.Error` has it."""

    reason: str
    field: str
    message: str


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def invalid_value(field: str, value: object, detail: str, reason: str = "FieldValueInvalid") -> Cause:
    return Cause(reason, field, f"Invalid value: {_shown(value)}: {detail}")


def wrong_type(field: str, value: object, detail: str) -> Cause:
    return Cause("FieldValueTypeInvalid", field, f"Invalid value: {_shown(value)}: {detail}")


def not_supported(field: str, value: object, allowed: Sequence[object]) -> Cause:
    names = ", ".join(_shown(item) for item in allowed)
    return Cause("FieldValueNotSupported", field, f"Unsupported value: {_shown(value)}: supported values: {names}")


def duplicate(field: str, value: object) -> Cause:
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {_shown(value)}")


def forbidden_field(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}")


def _shown(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _details(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural, **more}


def not_found(resource: Resource, name: str) -> Failure:
    return Failure(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> Failure:
    return Failure(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> Failure:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return Failure(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> Failure:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    parts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    what = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    details = {
        **({"name": name} if name else {}),
        **({"group": resource.group} if resource.group else {}),
        "kind": resource.kind,
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes],
    }
    return Failure(422, "Invalid", f'{kind} "{name}" is invalid: {what}', details)


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> Failure:
    details = _details(resource, name)
    if causes:
        details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    shown = f' "{name}"' if name else ""
    return Failure(403, "Forbidden", f"{resource.qualified}{shown} is forbidden: {why}", details)


def bad_request(message: str) -> Failure:
    return Failure(400, "BadRequest", message)


def unauthorized() -> Failure:
    return Failure(401, "Unauthorized", "Unauthorized")


def expired(message: str, continuing: str = "") -> Failure:
    return Failure(410, "Expired", message, metadata={"continue": continuing} if continuing else None)


def unknown_path() -> Failure:
    """Answered in plain text, as the real server does where not even the group is known."""
    return Failure(404, "NotFound", "404 page not found")


def unknown_resource() -> Failure:
    return Failure(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> Failure:
    message = "the server does not allow this method on the requested resource"
    return Failure(405, "MethodNotAllowed", message, {})


def unsupported_media_type(allowed: Sequence[str]) -> Failure:
    what = f"the body of the request was in an unknown format - accepted media types include: {', '.join(allowed)}"
    return Failure(415, "UnsupportedMediaType", what)
