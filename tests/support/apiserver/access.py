"""Who is asking, and whether they may: bearer tokens, and RBAC as the stored roles and bindings have it.

`k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac`. A request without a token is an administrator's, unless tokens
are required; so are those with the server's own token. Service accounts get tokens by TokenRequest.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.apiserver.failures import Failure, unauthorized
from tests.support.apiserver.kinds import Object
from tests.support.apiserver.store import Store

_GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class User:
    """Who a token stands for; a master may do anything."""

    name: str
    groups: tuple[str, ...] = ()
    is_master: bool = False


def service_account(namespace: str, name: str) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


ADMIN = User("admin", ("system:masters",), is_master=True)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request wants to do, in RBAC's words; a subresource is part of the resource, as `pods/log` is."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    def denied(self, user: User) -> Failure:
        if self.path:
            message = f'forbidden: User "{user.name}" cannot {self.verb} path "{self.path}"'
            return Failure(403, "Forbidden", message)
        shown = f"{self.resource}{f'.{self.group}' if self.group else ''}"
        named = f' "{self.name}"' if self.name else ""
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        message = (
            f'{shown}{named} is forbidden: User "{user.name}" cannot {self.verb} resource "{self.resource}" '
            f'in API group "{self.group}" {where}'
        )
        details = {k: v for k, v in (("name", self.name), ("group", self.group), ("kind", self.resource)) if v}
        return Failure(403, "Forbidden", message, details)


@dataclass(slots=True)
class Access:
    """Tokens, which may be changed at any time, and the authorizer over a store's roles."""

    store: Store
    requires_token: bool = False
    tokens: dict[str, User] = field(default_factory=dict)

    def issue(self, user: User) -> str:
        token = secrets.token_urlsafe(16)
        self.tokens[token] = user
        return token

    def issue_for_service_account(self, namespace: str, name: str) -> str:
        return self.issue(service_account(namespace, name))

    def authenticate(self, token: str) -> User:
        """Raises a 401 `Failure` for a token that is unknown, or missing where one is required."""
        if token in self.tokens:
            return self.tokens[token]
        if token or self.requires_token:
            raise unauthorized()
        return ADMIN

    def authorize(self, user: User, wanted: Attributes) -> None:
        """Raises a 403 `Failure`."""
        if not self.allows(user, wanted):
            raise wanted.denied(user)

    def allows(self, user: User, wanted: Attributes) -> bool:
        if user.is_master or wanted.path in ("/version", "/healthz", "/livez", "/readyz"):
            return True
        if wanted.path:
            return wanted.path.startswith(("/api", "/apis", "/openapi"))
        if wanted.group == "authorization.k8s.io" and wanted.resource.startswith("self"):
            return True
        return any(_permits(rule, wanted) for rule in self._rules(user, wanted.namespace))

    def _rules(self, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
        for _, record in self.store.all(f"clusterrolebindings.{_GROUP}"):
            yield from self._bound(record.object, user, "")
        if namespace:
            for _, record in self.store.all(f"rolebindings.{_GROUP}", namespace):
                yield from self._bound(record.object, user, namespace)

    def _bound(self, binding: Object, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
        if not any(_is(subject, user, namespace) for subject in binding.get("subjects", ())):
            return
        role, kind = binding["roleRef"]["name"], binding["roleRef"]["kind"]
        key = f"clusterroles.{_GROUP}" if kind == "ClusterRole" else f"roles.{_GROUP}"
        found = self.store.get(key, ("" if kind == "ClusterRole" else namespace, role))
        yield from found.object.get("rules") or () if found else ()


def _is(subject: Mapping[str, Any], user: User, namespace: str) -> bool:
    kind, name = subject["kind"], subject["name"]
    if kind == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace', namespace)}:{name}"
    return bool(name == user.name if kind == "User" else name in user.groups)


def _permits(rule: Mapping[str, Any], wanted: Attributes) -> bool:
    resources = rule.get("resources", ())
    subresource = wanted.resource.partition("/")[2]
    names = rule.get("resourceNames")
    return (
        bool({"*", wanted.verb} & set(rule.get("verbs", ())))
        and bool({"*", wanted.group} & set(rule.get("apiGroups", ())))
        and bool({"*", wanted.resource, f"*/{subresource}" if subresource else wanted.resource} & set(resources))
        and (not names or wanted.name in names)
    )
