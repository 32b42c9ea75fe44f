"""Emits a run's events beside the command, so that no store can hold it up or bring it down.

Keeps promise 4: whatever happens in here becomes a line to say, never an exception. A store that
hangs (a dead network file system) hangs a thread that nobody waits for longer than they want.
"""

from __future__ import annotations

from threading import Condition, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.bus import Bus

__all__ = ["Recorder"]


class Recorder:
    """Keeps events in the order they were given, in a thread of its own.

    Args:
        url: the store; none for the default one.

    Attributes:
        lost: why events could be kept nowhere, each reason once.
        spooled: where events wait that the store could not take, and why; none where none do.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._bus: Bus | None = None
        self._due: list[dict[str, Any]] = []
        self._changed = Condition()
        self.lost: list[str] = []
        self.spooled: str | None = None
        Thread(target=self._work, daemon=True).start()

    def emit(self, event_type: str, **fields: Any) -> None:
        """Have an event kept; returns at once. Arguments as for `Bus.emit`."""
        with self._changed:
            self._due.append({"event_type": event_type, **fields})
            self._changed.notify_all()

    def settled(self, timeout: float) -> bool:
        """Wait until every event given is kept or lost, so long at most (seconds)."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._due, timeout)

    def close(self, timeout: float) -> bool:
        """Close the bus once every event is kept or lost; returns whether it was in time."""
        with self._changed:
            self._due.append({})
            self._changed.notify_all()
        return self.settled(timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
                fields = self._due[0]
            try:
                self._keep(fields) if fields else self._close()
            except Exception as error:  # noqa: BLE001 - the command must not suffer from any
                self._note(error)
            with self._changed:
                self._due.pop(0)
                self._changed.notify_all()

    def _keep(self, fields: dict[str, Any]) -> None:
        if self._bus is None:
            from tidings.bus import Bus

            self._bus = Bus(self._url)
        event = self._bus.emit(**fields)
        spool = self._bus.spool  # loaded now, as at the end of a long job its file may be gone
        if event.position is None:
            self.spooled = f"{spool.directory}, as {self._bus.last_failure}"

    def _close(self) -> None:
        if self._bus is not None:
            self._bus.close()

    def _note(self, error: Exception) -> None:
        from tidings.errors import TidingsError

        kind = "" if isinstance(error, TidingsError) else f"{type(error).__name__}: "
        reason = " ".join([f"{kind}{error}", *getattr(error, "__notes__", ())])
        if reason not in self.lost:
            self.lost.append(reason)
