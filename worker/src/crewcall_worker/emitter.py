"""How a worker's broker tells its middleware what happens: as Dramatiq does, but without asking those that do not care.

Dramatiq calls each middleware at each signal, and most calls are of `Middleware`'s own methods, which do nothing: four
signals for a job, and about twenty middleware in a worker. Here it is looked up once who has a method of his own,
and again whenever the broker's list is another one. Order and errors are Dramatiq's (dramatiq/broker.py).
"""

from __future__ import annotations

from typing import Any

from dramatiq import Broker
from dramatiq.middleware import Middleware, MiddlewareError


class Emitter:
    """That of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._known: list[Middleware] = []
        self._listeners: dict[str, list[Middleware]] = {}

    def take_part(self) -> None:
        """Tell from now on in the broker's place."""
        vars(self._broker).update(emit_before=self.emit_before, emit_after=self.emit_after)

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Tell what is about to happen, in the middleware's order. Raises `MiddlewareError`, as to stop a job."""
        name = "before_" + signal
        for middleware in self._listening(name):
            try:
                getattr(middleware, name)(self._broker, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:  # noqa: BLE001 - whatever a project's middleware raises, the job goes on, as in Dramatiq
                self._tell_of_failure(name, middleware)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Tell what has happened, in reverse."""
        name = "after_" + signal
        for middleware in self._listening(name):
            try:
                getattr(middleware, name)(self._broker, *args, **kwargs)
            except Exception:  # noqa: BLE001 - as above
                self._tell_of_failure(name, middleware)

    def _listening(self, name: str) -> list[Middleware]:
        """Who has such a method of his own, in the order of telling."""
        if self._known != self._broker.middleware:
            self._listeners = {}
            self._known = list(self._broker.middleware)
        found = self._listeners.get(name)
        if found is None:
            idle = getattr(Middleware, name, None)
            found = [one for one in self._known if getattr(type(one), name, None) is not idle or name in vars(one)]
            if name.startswith("after_"):
                found.reverse()
            self._listeners[name] = found
        return found

    def _tell_of_failure(self, name: str, middleware: Middleware) -> None:
        self._broker.logger.critical("Unexpected failure in %s of %r.", name, middleware, exc_info=True)
