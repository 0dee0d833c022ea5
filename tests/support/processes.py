"""Whether processes are still there."""

from __future__ import annotations

import os
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether it runs. An orphan that has ended may stay as a zombie where process 1 does not wait for it."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # not Linux; or it has ended between the two lines, which the next look will tell
        return True
