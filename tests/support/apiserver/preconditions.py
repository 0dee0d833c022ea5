"""What must hold before a write is looked at: the namespace is open, and the object is the one that is meant.

`k8s.io/apiserver/pkg/registry/rest/{create,update}.go` and the admission plugin NamespaceLifecycle.
"""

from __future__ import annotations

from tests.support.apiserver import failures
from tests.support.apiserver.builtins import BUILTINS
from tests.support.apiserver.failures import Cause
from tests.support.apiserver.kinds import Object, Resource
from tests.support.apiserver.store import Store

OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_NAMESPACES = next(it for it in BUILTINS if it.key == "namespaces")


def check_namespace(store: Store, resource: Resource, namespace: str, name: str) -> None:
    """Raises a 404 `Failure` for a namespace that is not there, a 403 for one that is being deleted."""
    record = store.get("namespaces", ("", namespace))
    if record is None:
        raise failures.not_found(_NAMESPACES, namespace)
    if record.object["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated")
        raise failures.forbidden(resource, name, why, [cause])


def check_name(metadata: Object, name: str) -> None:
    """Raises a 400 `Failure` where an object is not of the name that the URL has."""
    found = metadata.get("name") or ""
    if found != name:
        why = f"the name of the object ({found}) does not match the name on the URL ({name})"
        raise failures.bad_request(why if found else "name must be provided")


def check_update(resource: Resource, metadata: Object, old: Object) -> None:
    """Raises the `Failure` for an update that is not of the object there is, or not of its latest version."""
    there = old["metadata"]
    name = there["name"]
    check_name(metadata, name)
    if metadata.get("namespace", there.get("namespace")) != there.get("namespace"):
        raise failures.bad_request(OTHER_NAMESPACE)
    if metadata.get("resourceVersion", "") not in ("", "0", there["resourceVersion"]):
        raise failures.conflict(resource, name)
    uid = metadata.get("uid", there["uid"])
    if uid != there["uid"]:
        raise failures.invalid(resource, name, [failures.invalid_value("metadata.uid", uid, "field is immutable")] * 2)
    added = [it for it in metadata.get("finalizers") or () if it not in there.get("finalizers", ())]
    if there.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{it}"' for it in added)
        why = "no new finalizers can be added if the object is being deleted, found new finalizers []string{"
        raise failures.invalid(resource, name, [failures.forbidden_field("metadata.finalizers", f"{why}{listed}}}")])
