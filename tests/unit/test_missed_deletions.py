"""When the operator looks for what a watch has missed."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import kopf
import pytest

from crewcall_operator import handlers
from crewcall_operator.handlers import RELIST_LEAST, Watch

LISTED: kopf.RawEvent = {"type": None, "object": {}}


class Compared(Exception):
    """It has come to that."""


async def test_compares_once_when_all_of_a_long_list_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(Mock(), Mock(), Mock(), Mock(), Mock())
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) < 4:
            watch._hear(LISTED)

    async def compare(_watch: Watch, _cluster: object) -> None:
        raise Compared

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(Watch, "compare", compare)
    watch._hear(LISTED)
    with pytest.raises(Compared):
        await watch.forget_missed_deletions(Mock())

    assert pauses == [RELIST_LEAST] * 4


async def test_compares_now_and_then_though_a_list_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(Mock(), Mock(), Mock(), Mock(), Mock())
    wait = asyncio.sleep

    async def sleep(_seconds: float) -> None:
        watch._hear(LISTED)
        await wait(0)

    async def compare(_watch: Watch, _cluster: object) -> None:
        raise Compared

    monkeypatch.setattr(handlers, "RELIST", 0.05)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(Watch, "compare", compare)
    watch._hear(LISTED)
    with pytest.raises(Compared):
        await watch.forget_missed_deletions(Mock())
