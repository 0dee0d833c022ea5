"""The names under which Crewcall is known to Kubernetes, each written once.

The label names of `app.kubernetes.io` are Kubernetes' recommended ones:
https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "crewcall.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "crewcall.dev/v1alpha1"
KIND: Final = "WorkerPool"
PLURAL: Final = "workerpools"

MANAGER: Final = "crewcall"
"""The field manager of every write, and the value of `LABEL_MANAGED_BY`."""

OBJECT_NAME: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""What an object may be called."""

LABEL_POOL: Final = f"{GROUP}/pool"
"""The pool's name, on its Deployment and pods; the only label that the Deployment selects by."""

LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
APP_NAME: Final = "crewcall-worker"

ANNOTATION_TEMPLATE_HASH: Final = f"{GROUP}/template-hash"
"""On the Deployment: which pod template it was last given, so that a new one is noticed without comparing them."""

ANNOTATION_BORROWED: Final = f"{GROUP}/borrowed"
"""On a Deployment that a pool refers to: which pool scales it, and the replicas it had before. See `api.borrowing`."""

ANNOTATION_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
"""On a pod: those of the lowest cost are the first that a ReplicaSet removes.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost"""

FIRST_TO_GO: Final = "-2147483647"
"""The cost that Crewcall gives to pods that it wants removed: as good as the lowest there is."""

NAME_LENGTH: Final = 63
"""The longest name of a pool, in characters: the name becomes a label's value."""
