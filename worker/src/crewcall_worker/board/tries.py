"""How often somebody may try to get in: by address, a bucket of tries that fills up again.

In the memory of one process, for at most `MOST_ADDRESSES` addresses: of more, the one that tried the longest ago is
forgotten. An address of IPv6 counts by its /64, which is what one customer has.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_ADDRESSES = 10_000


class Tries:
    """`most` tries at once, and as many more in each `seconds`. Threads may share it."""

    def __init__(self, most: int, seconds: float, steady: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._rate = most / seconds
        self._steady = steady
        self._lock = threading.Lock()
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_for(self, address: str) -> int:
        """Seconds until this address may try again; 0 for now."""
        with self._lock:
            over = self._left_over(_bucket(address)) + 1 - self._most
            return math.ceil(over / self._rate) if over > 0 else 0

    def count(self, address: str) -> None:
        """One try more."""
        name = _bucket(address)
        with self._lock:
            self._spent[name] = (min(self._most, self._left_over(name) + 1), self._steady())
            self._spent.move_to_end(name)
            while len(self._spent) > MOST_ADDRESSES:
                self._spent.popitem(last=False)

    def _left_over(self, name: str) -> float:
        spent, at = self._spent.get(name, (0.0, 0.0))
        return max(0.0, spent - (self._steady() - at) * self._rate)


def _bucket(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
