"""SelfSubjectAccessReview: the server's answer to "may I?"."""

from __future__ import annotations

from tests.support.apiserver.access import Access, Attributes, User
from tests.support.apiserver.kinds import Object


def review(body: Object, user: User, access: Access) -> Object:
    asked = body["spec"].get("resourceAttributes", {})
    subresource = asked.get("subresource", "")
    resource = asked.get("resource", "") + (f"/{subresource}" if subresource else "")
    wanted = Attributes(
        asked.get("verb", ""), asked.get("group", ""), resource, asked.get("name", ""), asked.get("namespace", "")
    )
    return {**body, "status": {"allowed": access.allows(user, wanted)}}
