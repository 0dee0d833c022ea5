"""What pools are called in front of people: by name, and by namespace too where one name would do for two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from crewcall_operator.api.pool import PoolKey


def names_of(keys: Iterable[PoolKey]) -> dict[PoolKey, str]:
    """Each pool's name, or namespace/name where another pool has that name as well."""
    keys = list(keys)
    bearers = Counter(key.name for key in keys)
    return {key: key.name if bearers[key.name] == 1 else str(key) for key in keys}
