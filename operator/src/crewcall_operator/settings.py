"""What an operator can be told when it starts; the command line fills it in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """`interval` is in seconds; port 0 picks a free one.

    Empty `namespaces` are all of them, and an empty `selector` (of labels) is of every pool in them.
    `lease` is the Lease by which several operators elect the one that writes, as "[namespace/]name", empty for one
    that goes by what is served; without `elects` there is only this one.
    """

    namespaces: tuple[str, ...] = ()
    interval: float = 0.5
    host: str = "127.0.0.1"
    port: int = 8080
    elects: bool = True
    lease: str = ""
    selector: str = ""

    @property
    def lease_name(self) -> str:
        """Operators that serve different namespaces, or parts of the pools, do not wait for each other."""
        named = self.lease.rpartition("/")[2]
        served = ";".join(filter(None, [",".join(sorted(self.namespaces)), _in_order(self.selector)]))
        return named or (f"crewcall-{sha256(served.encode()).hexdigest()[:8]}" if served else "crewcall")


def _in_order(selector: str) -> str:
    """One spelling of all that select the same: "b = x,a in (z,y)" is "a in (y, z),b=x"."""
    requirements = re.split(r",(?![^(]*\))", selector)
    return ",".join(sorted({_spelled(it) for it in requirements if it.strip()}))


def _spelled(requirement: str) -> str:
    head, bracket, values = requirement.partition("(")
    if not bracket:
        return "".join(head.split()).replace("==", "=")
    of_set = sorted({value.strip() for value in values.strip().removesuffix(")").split(",")})
    if len(of_set) == 1:
        key, _, operator = " ".join(head.split()).partition(" ")
        return f"{key}{'=' if operator == 'in' else '!='}{of_set[0]}"
    return f"{' '.join(head.split())} ({', '.join(of_set)})"
