"""The shape of a WorkerPool: its fields, their types, bounds and defaults, as users write them.

The same schema as `crds/workerpool.yaml`, which describes each field; a test compares the two. It is checked here
once more because objects may have been stored under an older, laxer CRD, and because `crewcall local` has no API
server. Rules between fields are in `rules.py`, the words of a complaint in `problems.py`.

Unknown fields are refused, and nothing is converted: "3" is no number. Of the pod template only what Crewcall
itself touches has a shape; the rest is Kubernetes' to judge.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from crewcall_operator.api.duration import MAX_LENGTH, PATTERN, read_duration
from crewcall_operator.api.names import API_VERSION, KIND, NAME_LENGTH, OBJECT_NAME
from crewcall_operator.core.policy import FallbackPolicy, Mode, OnSaturation, PolicyType, SelectPolicy

#: dramatiq.actor demands the same of a queue's name.
QUEUE_NAME: Final = r"^[a-zA-Z_][a-zA-Z0-9._-]*$"
_OPTION: Final = r"(db=[0-9]{1,4}|ssl_cert_reqs=(none|optional|required)|ssl_check_hostname=(true|false))"
_PORT: Final = r"(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
#: What redis-py's from_url reads; the user information may hold anything but the characters that end it. Of its options
#: only those that say where Redis is and whom to trust: others would be no connection, or another client.
REDIS_URL: Final = (
    rf"^(rediss?://([^/?#\s]*@)?(\[[0-9a-fA-F:.]+\]|[^/?#\s:@\[\]]+){_PORT}(/[0-9]{{0,4}})?"
    r"|unix://([^/?#\s]*@)?/[^?\s]+)"
    rf"(\?{_OPTION}(&{_OPTION})*)?$"
)
#: A decimal, or thousandths as `kubectl get hpa -o yaml` writes them: a Quantity, as far as a tolerance needs it.
TOLERANCE: Final = r"^([0-9]{1,2}(\.[0-9]{1,6})?|[0-9]{1,5}m)$"
MAX_TOLERANCE: Final = 100
ADDRESS: Final = rf"^[^\s:/?#@,\[\]]+{_PORT}$"
CRON: Final = r"^[^\s]+( +[^\s]+){4}$"


class Part(BaseModel):
    """Any object inside a WorkerPool."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class Loose(BaseModel):
    """An object of which Kubernetes knows more fields than Crewcall needs to."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, alias_generator=to_camel)


def _duration(shortest: str, longest: str) -> BeforeValidator:
    low, high = read_duration(shortest), read_duration(longest)

    def read(text: object) -> float:
        is_duration = isinstance(text, str) and len(text) <= MAX_LENGTH and re.fullmatch(PATTERN, text)
        if is_duration and low <= (seconds := read_duration(str(text))) <= high:
            return seconds
        words = f'must be a duration such as "30s", "2m", "1h30m" or "500ms", from {shortest} to {longest}'
        raise PydanticCustomError("duration", "{words}", {"words": words})

    return BeforeValidator(read)


def _read_tolerance(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_TOLERANCE:
        return float(value)
    if isinstance(value, str) and re.fullmatch(TOLERANCE, value):
        return float(value[:-1]) / 1000 if value.endswith("m") else float(value)
    raise PydanticCustomError("tolerance", 'must be a share such as "0.1" (10 %), from 0 to 100')


_DURATION = WithJsonSchema({"type": "string", "pattern": PATTERN, "maxLength": MAX_LENGTH})
Tolerance = Annotated[float, BeforeValidator(_read_tolerance), WithJsonSchema({"pattern": TOLERANCE})]
Replicas = Annotated[int, Field(ge=0, le=10_000)]
ObjectName = Annotated[str, Field(pattern=OBJECT_NAME, max_length=253)]
SecretKey = Annotated[str, Field(min_length=1, max_length=253)]


class KeyRef(Part):
    name: ObjectName
    key: SecretKey


class SecretSource(Part):
    secret_key_ref: KeyRef


class CaSource(Part):
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None


class Tls(Part):
    ca_from: CaSource | None = None


class Sentinel(Part):
    master: Annotated[str, Field(min_length=1, max_length=253)]
    addresses: Annotated[
        list[Annotated[str, Field(pattern=ADDRESS, max_length=260)]], Field(min_length=1, max_length=20)
    ]
    database: Annotated[int, Field(ge=0, le=9999)] = 0
    username_from: SecretSource | None = None
    password_from: SecretSource | None = None


class Redis(Part):
    url: Annotated[str, Field(pattern=REDIS_URL, max_length=2048)] | None = None
    url_from: SecretSource | None = None
    sentinel: Sentinel | None = None
    username_from: SecretSource | None = None
    password_from: SecretSource | None = None
    tls: Tls | None = None
    namespace: Annotated[str, Field(min_length=1, max_length=200)] = "dramatiq"


class Queue(Part):
    name: Annotated[str, Field(pattern=QUEUE_NAME, max_length=200)]
    weight: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] = 1.0


class Target(Part):
    queue_latency: Annotated[float, _duration("1ms", "24h"), _DURATION] | None = None
    backlog_per_replica: Annotated[float, Field(ge=0.001, le=1_000_000, allow_inf_nan=False)] | None = None
    on_saturation: Annotated[OnSaturation, Field(strict=False)] | None = None


class ScalingPolicy(Part):
    type: Annotated[PolicyType, Field(strict=False)]
    value: Annotated[int, Field(ge=1, le=100_000)]
    period_seconds: Annotated[int, Field(ge=1, le=1800)]


class Rules(Part):
    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    policies: Annotated[list[ScalingPolicy], Field(max_length=20)] = []
    select_policy: Annotated[SelectPolicy, Field(strict=False)] = SelectPolicy.MAX
    tolerance: Tolerance = 0.1


class ScaleDown(Rules):
    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] = 60


class Behavior(Part):
    scale_up: Rules = Rules()
    scale_down: ScaleDown = ScaleDown()


class Schedule(Part):
    name: Annotated[str, Field(min_length=1, max_length=63)]
    start: Annotated[str, Field(pattern=CRON, max_length=100)]
    end: Annotated[str, Field(pattern=CRON, max_length=100)]
    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    min_replicas: Replicas


class Fallback(Part):
    after: Annotated[float, _duration("1s", "24h"), _DURATION] = 300.0
    policy: Annotated[FallbackPolicy, Field(strict=False)] = FallbackPolicy.HOLD
    replicas: Replicas | None = None


class Drain(Part):
    grace_period: Annotated[float, _duration("1s", "168h"), _DURATION] = 600.0


class DeploymentRef(Part):
    name: ObjectName


class EnvVar(Loose):
    name: str
    value: str | None = None


class Container(Loose):
    name: str
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    lifecycle: dict[str, Any] | None = None


class PodSpec(Loose):
    containers: Annotated[list[Container], Field(min_length=1)]
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] | None = None


class TemplateMetadata(Loose):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Template(Part):
    metadata: TemplateMetadata | None = None
    spec: PodSpec


class Spec(Part):
    redis: Redis
    queues: Annotated[list[Queue], Field(min_length=1, max_length=100)]
    min_replicas: Replicas = 0
    max_replicas: Annotated[int, Field(ge=1, le=10_000)]
    target: Target = Target.model_validate({"queueLatency": "30s"})
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    behavior: Behavior = Behavior()
    cooldown: Annotated[float, _duration("0s", "24h"), _DURATION] = 120.0
    schedules: Annotated[list[Schedule], Field(max_length=50)] = []
    fallback: Fallback = Fallback()
    mode: Annotated[Mode, Field(strict=False)] = Mode.AUTO
    replicas: Replicas | None = None
    drain: Drain = Drain()
    template: Template | None = None
    deployment_ref: DeploymentRef | None = None


class Metadata(Loose):
    name: Annotated[str, Field(pattern=OBJECT_NAME, max_length=NAME_LENGTH)]
    namespace: Annotated[str, Field(pattern=OBJECT_NAME, max_length=NAME_LENGTH)] = "default"
    uid: str = ""
    generation: int = 1
    creation_timestamp: str | None = None


class Resource(Part):
    """The whole object. `status` is ours to write, so nothing is demanded of it."""

    api_version: Literal["crewcall.dev/v1alpha1"] = API_VERSION
    kind: Literal["WorkerPool"] = KIND
    metadata: Metadata
    spec: Spec
    status: Any = None
