"""What an operator can be told when it starts; the command line fills it in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """`namespaces` empty means all of them; `interval` is in seconds; port 0 picks a free one."""

    namespaces: tuple[str, ...] = ()
    interval: float = 0.5
    host: str = "127.0.0.1"
    port: int = 8080
