"""The wish to stop, as it comes by signal: the first one asks, every further one insists."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

#: Ctrl-C, `kill`, and a terminal that was closed.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Stop:
    """Takes the signals between entering and leaving, in the running loop; `again` is called where one insists."""

    again: Callable[[], None] = lambda: None
    insisted: signal.Signals | None = None
    """The signal that insisted, the first one of them."""
    _requested: asyncio.Event = field(default_factory=asyncio.Event)
    _taken: Sequence[signal.Signals] = ()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    def request(self) -> None:
        """Stop, as the first signal does."""
        self._requested.set()

    async def wait(self) -> None:
        """Until it is asked for."""
        await self._requested.wait()

    def __enter__(self) -> Self:
        # One that is ignored, as nohup has it of a closed terminal, goes on being ignored.
        self._taken = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._taken:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._taken:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.is_requested:
            self.insisted = self.insisted or number
            self.again()
        self.request()
