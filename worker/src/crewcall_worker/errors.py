"""The failures that the worker expects; each text is one line for people, each has the exit status it ends with."""

from __future__ import annotations


class WorkerError(Exception):
    """The parent of every expected failure."""

    exit_status = 1


class BadSetting(WorkerError):
    """A setting, in the environment or on the command line, that cannot be worked with."""

    exit_status = 2

    def __init__(self, variable: str, value: str | None, allowed: str) -> None:
        """`value` is None where the variable is not set."""
        found = "is not set" if value is None else f"is {value!r}"
        super().__init__(f"{variable} {found}; {allowed}")


class NotInstalled(WorkerError):
    """A package that running jobs takes is missing."""

    exit_status = 2

    def __init__(self, package: str, extra: str = "worker") -> None:
        super().__init__(f"{package} is not installed. Try: pip install 'crewcall[{extra}]'")


class JobsUnavailable(WorkerError):
    """There is nothing to run: a module is missing, or it has no actor on the pool's queues."""

    exit_status = 2


class RedisRefused(WorkerError):
    """Redis answers, but not to us: waiting would not help."""


class NotAWorker(WorkerError):
    """The process that was to drain is not a Crewcall worker; it was left alone."""


class StillRunning(WorkerError):
    """The worker had not gone when the time was over."""
