"""How the workers of a pool come to its Redis where that is in Secrets and ConfigMaps: by reference, nothing is copied.

The kubelet puts the values into the pods' environment, and the certificate authorities into a file. Values and files of
running pods stay as they were made of; a changed Secret reaches new pods.
"""

from __future__ import annotations

from typing import Any, Final

from crewcall_operator.api.pool import KeyRef, RedisSource
from crewcall_worker import redis_address, wire

Json = dict[str, Any]

CA_VOLUME: Final = "crewcall-redis-ca"
CA_FOLDER: Final = "/etc/crewcall/redis-ca"
CA_FILE: Final = "ca.pem"


def referred(redis: RedisSource) -> list[Json]:
    """The variables whose values are elsewhere, and the one that names the file of the authorities."""
    variables = {
        wire.ENV_REDIS_URL: redis.url_from,
        redis_address.ENV_REDIS_USERNAME: redis.login.username,
        redis_address.ENV_REDIS_PASSWORD: redis.login.password,
        redis_address.ENV_SENTINEL_USERNAME: redis.sentinel_login.username,
        redis_address.ENV_SENTINEL_PASSWORD: redis.sentinel_login.password,
    }
    found: list[Json] = [{"name": name, "valueFrom": _by(ref)} for name, ref in variables.items() if ref is not None]
    if redis.ca_from is not None:
        found.append({"name": redis_address.ENV_REDIS_CA, "value": f"{CA_FOLDER}/{CA_FILE}"})
    return found


def mount_authorities(redis: RedisSource, pod: Json, container: Json) -> None:
    """Give the container the file that `referred` names, unless its owner has told it of another."""
    ref = redis.ca_from
    told = {"name": redis_address.ENV_REDIS_CA, "value": f"{CA_FOLDER}/{CA_FILE}"}
    if ref is None or told not in container["env"]:
        return
    items = [{"key": ref.key, "path": CA_FILE}]
    held = {"secretName": ref.name} if ref.kind == "Secret" else {"name": ref.name}
    kind = "secret" if ref.kind == "Secret" else "configMap"
    pod["volumes"] = [*(pod.get("volumes") or ()), {"name": CA_VOLUME, kind: {**held, "items": items}}]
    mount = {"name": CA_VOLUME, "mountPath": CA_FOLDER, "readOnly": True}
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def _by(ref: KeyRef) -> Json:
    kind = "secretKeyRef" if ref.kind == "Secret" else "configMapKeyRef"
    return {kind: {"name": ref.name, "key": ref.key}}
