"""Reading what the environment says: each variable as what it is meant to be.

What cannot be that raises `BadSetting`, which names the variable, what it holds and what it may hold. An empty variable
is like none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final

from crewcall_worker.errors import BadSetting

Network = IPv4Network | IPv6Network

ON: Final = frozenset({"true", "yes", "on", "1"})
OFF: Final = frozenset({"false", "no", "off", "0"})


def line(environment: Mapping[str, str], variable: str) -> str:
    """Without the end of line that a Secret made from a file often has."""
    return environment.get(variable, "").rstrip("\r\n")


def parts(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """What stands there between commas."""
    return tuple(part.strip() for part in environment.get(variable, "").split(",") if part.strip())


def networks(environment: Mapping[str, str], variable: str) -> tuple[Network, ...]:
    """Networks between commas; an address is one of itself alone."""
    try:
        return tuple(ip_network(part) for part in parts(environment, variable))
    except ValueError:
        allowed = "write addresses or networks separated by commas, as 10.1.0.0/16,fd00::/8"
        raise BadSetting(variable, environment[variable], allowed) from None


def switch(environment: Mapping[str, str], variable: str, *, default: bool) -> bool:
    text = environment.get(variable, "").strip().lower()
    if text and text not in ON | OFF:
        raise BadSetting(variable, text, "write true or false, or on or off")
    return text in ON if text else default


def file(environment: Mapping[str, str], variable: str) -> str:
    """One that is there."""
    path = line(environment, variable)
    if path and not Path(path).is_file():
        raise BadSetting(variable, path, "there is no such file")
    return path


def folder(environment: Mapping[str, str], variable: str) -> str:
    """One that is there."""
    path = line(environment, variable)
    if path and not Path(path).is_dir():
        raise BadSetting(variable, path, "there is no such folder")
    return path


def whole(environment: Mapping[str, str], variable: str, default: int, least: int, most: int) -> int:
    text = environment.get(variable) or str(default)
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise BadSetting(variable, text, f"write a whole number from {least} to {most}")
    return int(text)


def seconds(
    environment: Mapping[str, str], variable: str, default: float, example: str, *, at_least: float = 0.0
) -> float:
    text = environment.get(variable) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not at_least <= number < math.inf:
        least = f"{at_least:g} or more, " if at_least else ""
        raise BadSetting(variable, text, f"write seconds, {least}{example}")
    return number
