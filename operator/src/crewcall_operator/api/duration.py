"""Durations as a WorkerPool writes them ("30s", "1h30m", "500ms") and as a status shows them ("4.1s", "3m12s").

The notation is that of Go's time.ParseDuration (https://pkg.go.dev/time#ParseDuration), as everywhere in
Kubernetes, less the units below a millisecond and less signs.
"""

from __future__ import annotations

import re
from typing import Final

#: At most 6 digits a unit and `MAX_LENGTH` in all: so no duration overflows the 64 bits of nanoseconds that the
#: API server counts in.
PATTERN: Final = r"^([0-9]{1,6}(\.[0-9]{1,6})?(ms|s|m|h))+$"
MAX_LENGTH: Final = 20

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9.]+)(ms|s|m|h)")


def read_duration(text: str) -> float:
    """The seconds that `text`, which matches `PATTERN`, stands for."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def write_duration(seconds: float) -> str:
    """For people: tenths below a minute, then the two largest units."""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if hours == 0:
        return f"{minutes}m{whole % 60}s"
    if hours < 24:
        return f"{hours}h{minutes % 60}m"
    return f"{hours // 24}d{hours % 24}h"
