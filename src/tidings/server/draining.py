"""The end of a server: the signals that ask for it are heard before the ASGI server waits.

An ASGI server that is told to stop waits for open answers, and live streams never end by
themselves; the lifespan's own end comes only after that wait (measured: uvicorn 0.54 and granian
2.8 hang for good with one idle stream). So the app listens to the signals itself, tells its streams
to end, and passes the signal on to whoever listened before. Works under any server that runs the
app in its main thread.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from threading import current_thread, main_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["ending_signals_call"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def ending_signals_call(drain: Callable[[], None]) -> Iterator[None]:
    """Have `drain` called in the event loop as soon as the process is asked to end.

    Outside of the main thread, where Python lets nobody listen to signals, nothing changes.

    Args:
        drain: what to call; it may be called more than once.
    """
    if current_thread() is not main_thread():
        yield
        return
    listeners = [_Listener(number, asyncio.get_running_loop(), drain) for number in _SIGNALS]
    try:
        yield
    finally:
        for listener in listeners:
            listener.leave()


class _Listener:
    """Stands before whoever listens to a signal."""

    def __init__(
        self, number: signal.Signals, loop: asyncio.AbstractEventLoop, drain: Callable[[], None]
    ) -> None:
        self._number = number
        self._loop = loop
        self._drain = drain
        self._before = signal.getsignal(number)
        # Kept, because each access to a method makes another object.
        self._own = self._heard
        signal.signal(number, self._own)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drain)
        if callable(self._before):
            self._before(number, frame)
        elif self._before is not signal.SIG_IGN:
            # Nobody else listens, so the signal does what it does to any process.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def leave(self) -> None:
        """Let the one before listen again, unless somebody came later."""
        if signal.getsignal(self._number) == self._own:
            signal.signal(self._number, self._before)
