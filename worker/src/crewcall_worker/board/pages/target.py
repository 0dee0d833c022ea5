"""What an action is to be done on: named by an address for the question, and by a form for the deed."""

from __future__ import annotations

from dataclasses import dataclass

from crewcall_worker.board.problems import Refusal
from crewcall_worker.board.words import plural

MOST_IDS = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is to be done on, as an address or a form names it. Empty is not named."""

    queue: str = ""
    state: str = ""
    ids: tuple[str, ...] = ()
    job: str = ""
    organization: str = ""
    error: str = ""
    pool: str = ""
    worker: str = ""

    @property
    def some_ids(self) -> tuple[str, ...]:
        """Raises `Refusal` where no jobs are named, or more than are acted on one by one."""
        if not 0 < len(self.ids) <= MOST_IDS:
            raise Refusal(f"{plural(len(self.ids), 'job')} selected; expected 1 to {MOST_IDS}")
        return self.ids

    @property
    def like(self) -> str:
        """The filter in words; empty where there is none."""
        told = {"job": self.job, "organisation": self.organization, "error": self.error}
        return ", ".join(f"{name} “{value}”" for name, value in told.items() if value)

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """As a form carries them on."""
        names = ("queue", "state", "job", "organization", "error", "pool", "worker")
        told = tuple((name, getattr(self, name)) for name in names if getattr(self, name))
        return (*told, *(("id", id_) for id_ in self.ids))
