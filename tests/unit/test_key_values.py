"""Values of Secrets and ConfigMaps: read once, again when it is time, and never shown."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.stage import Time, settled

from crewcall_operator.adapters.key_values import KeyUnavailable, KeyValues
from crewcall_operator.api.pool import KeyRef
from crewcall_operator.errors import ApiError

URL = KeyRef("Secret", "shop", "redis", "url")


@dataclass
class Api:
    """Answers with what `held` says, or fails as `failing` does; it counts."""

    held: dict[str, Any] = field(default_factory=dict)
    failing: ApiError | None = None
    asked: list[str] = field(default_factory=list)

    async def get(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing
        return {"data": self.held}

    def hold(self, **values: str) -> None:
        self.held = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


@pytest.fixture
def api() -> Api:
    found = Api()
    found.hold(url="redis://a\n", other="b")
    return found


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def values(api: Api, time: Time) -> KeyValues:
    return KeyValues(api, time)  # type: ignore[arg-type]


async def test_reads_an_object_once_for_all_who_ask(api: Api, values: KeyValues) -> None:
    other = KeyRef("Secret", "shop", "redis", "other")
    found = await asyncio.gather(values.value(URL), values.value(other), values.value(URL))

    assert list(found) == ["redis://a", "b", "redis://a"]
    assert api.asked == ["/api/v1/namespaces/shop/secrets/redis"]


async def test_reads_a_config_map_as_it_is(api: Api, values: KeyValues) -> None:
    api.held = {"pem": "text"}

    assert await values.value(KeyRef("ConfigMap", "shop", "ca", "pem")) == "text"
    assert api.asked == ["/api/v1/namespaces/shop/configmaps/ca"]


@pytest.mark.parametrize(("is_doubted", "passed"), [(False, 60.0), (True, 3.0)])
async def test_reads_again_when_it_is_time_and_makes_nobody_wait_for_it(
    api: Api, time: Time, values: KeyValues, is_doubted: bool, passed: float
) -> None:
    await values.value(URL)
    api.hold(url="redis://b")
    if is_doubted:
        values.doubt(URL)

    time.now += passed - 0.1
    early = await values.value(URL)
    time.now += 0.1
    meanwhile = await values.value(URL)
    await settled()

    assert (early, meanwhile, await values.value(URL)) == ("redis://a", "redis://a", "redis://b")
    assert len(api.asked) == 2


async def test_keeps_what_it_knows_while_the_api_is_away(api: Api, time: Time, values: KeyValues) -> None:
    await values.value(URL)
    api.failing = ApiError(None, "GET: no answer")

    for _ in range(3):
        time.now += 100.0
        assert await values.value(URL) == "redis://a"
        await settled()


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ApiError(404, "GET: 404"), "there is no Secret shop/redis; make it, or name another one"),
        (
            ApiError(403, "GET: 403 secrets is forbidden"),
            "the operator may not get Secret shop/redis: GET: 403 secrets",
        ),
        (ApiError(None, "GET: no answer"), "Secret shop/redis cannot be read: GET: no answer"),
    ],
)
async def test_says_what_is_missing_and_finds_it_once_it_is_there(
    api: Api, time: Time, values: KeyValues, failure: ApiError, told: str
) -> None:
    api.failing = failure
    with pytest.raises(KeyUnavailable, match=told):
        await values.value(URL)

    api.failing, time.now = None, time.now + 3.0
    with pytest.raises(KeyUnavailable):
        await values.value(URL)
    await settled()

    assert await values.value(URL) == "redis://a"


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({}, 'Secret shop/redis has no key "url"; write it there, or name another one'),
        ({"url": ""}, 'key "url" of Secret shop/redis is empty'),
        ({"url": "/w=="}, 'key "url" of Secret shop/redis is not text in UTF-8'),
    ],
)
async def test_names_the_key_that_holds_nothing_of_use(
    api: Api, values: KeyValues, held: dict[str, str], told: str
) -> None:
    api.held = held

    with pytest.raises(KeyUnavailable, match=f"^{told}$"):
        await values.value(URL)
