"""Which process this is, in words that no other process ever has, and whether such a process lives.

From Linux's /proc (man 5 proc, man 7 namespaces). A number alone would not do: containers count their processes from 1,
and numbers are given out again. So there is the boot of the kernel, the namespace that the number is of, and when the
process began. Who sees another namespace, or no /proc, cannot tell and says so.
"""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
GONE = frozenset("ZXx")  # a zombie has ended; reaping it is for its parent


def identity() -> str | None:
    """This process's; None where there is no such /proc."""
    try:
        own = (PROC / "self/stat").read_text(errors="replace")
        return f"{_place()} {own.split()[0]} {_began(own)}"
    except OSError:
        return None


def lives(identity_of_another: str) -> bool | None:
    """Whether the process of that identity lives; None where that cannot be told from here."""
    place, _, number_and_start = identity_of_another.partition(" ")
    number, _, start = number_and_start.partition(" ")
    try:
        if not number.isdecimal() or place != _place():
            return None
        stat = (PROC / number / "stat").read_text(errors="replace")
    except FileNotFoundError:
        return None if _is_hidden(int(number)) else False
    except ProcessLookupError:
        return False
    except OSError:
        return None
    return _began(stat) == start and _state(stat) not in GONE


def _is_hidden(number: int) -> bool:
    """Whether there is a process of that number all the same: /proc may show a user only his own (its `hidepid`)."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _place() -> str:
    """The boot, and the namespace by which processes are numbered here. Raises `OSError`."""
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{(PROC / 'self/ns/pid').readlink()}"


def _state(stat: str) -> str:
    return _behind_the_name(stat)[0]


def _began(stat: str) -> str:
    """When it began, in ticks since the boot."""
    return _behind_the_name(stat)[19]


def _behind_the_name(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split()  # the name, in brackets, may hold anything
