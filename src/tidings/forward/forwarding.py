"""The thread that forwards what a bus has just emitted, and what other processes left.

Keeps: who emits never waits for it, and its end is waited for at most a second. What it has not
sent by then is marked in the ledger, and is sent by whoever comes next. It is started by the first
event, anew in a forked child, and holds a bounded number of events. It imports nothing late: a fork
in the middle of an import leaves the child half a module.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections import deque
from threading import Condition, Thread
from time import monotonic
from weakref import ref

from tidings.clock import Clock
from tidings.errors import NotAllowed, OutcomeUnknown, StoreClosed, StoreUnavailable, shorten
from tidings.forward.posting import exposes_key, is_address
from tidings.forward.waiting import FRESH, Waiting
from tidings.masking import masked
from tidings.schedule import Schedule
from tidings.spool.marks import key_of, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import Event
    from tidings.forward.posting import Answer
    from tidings.store.base import Batch, Store

__all__ = ["PATIENCE", "Forwarding", "finish"]

PATIENCE = 1.0
"""So long the end of a bus, or of a process, waits for what is being forwarded (seconds)."""

_MOST_QUEUED = 1000
"""So many events are held here; the others are read back from the store in their turn."""

_AWAY = Schedule.doubling(64, first=5.0, most=300.0)

_IDLE = 15.0
"""After so long without an event (seconds) it looks for what was put off, or its thread ends."""

_OWN_TYPES = "tidings."

_log = logging.getLogger("tidings.forward")


class Forwarding:
    """Forwards what one bus emits.

    Args:
        store: where it is kept.
        url: where to.
        key: what is shown there.
        clock: what time it is.
    """

    def __init__(self, store: Store, url: str, key: str, clock: Clock | None = None) -> None:
        self.url = url
        self._store = store
        self._key = key
        self._clock = clock or Clock()
        self._process = 0
        self._closed = False
        self._ensure_own()

    def _start_anew(self) -> None:
        """Begin anew in a forked child: the thread, and what it was to send, stayed behind."""
        self._process = os.getpid()
        self._waiting = Waiting(self._store, self.url, self._key, self._clock)
        self._changed = Condition()
        self._queue: deque[tuple[str, Event, int]] = deque()
        self._thread: Thread | None = None
        self._idle = True
        self._is_more = True  # other processes may have left something
        self._may_read = True
        self._pausing = False
        self._failures = 0

    def marked(self, batch: Batch) -> Batch:
        """The batch with a mark for each of its events, to be written with them."""
        keys = self._keys(batch.events)
        if not keys:
            return batch
        self._ensure_own()
        claim, room = self._waiting.claim(), self._room()
        # What we shall not send at once is nobody's, so that nobody waits for us.
        marks = [
            mark(event, self.url, claim if index < room else None)
            for index, event in enumerate(keys.values())
        ]
        return batch._replace(put=(*batch.put, *marks))

    def kept(self, sent: Sequence[Event], kept: Sequence[Event]) -> None:
        """Send events that were kept with their marks, in the background.

        Args:
            sent: the events as they were marked.
            kept: the same as they were kept; those without a position wait in the spool and are
                sent once they are collected. The time in one that was there before may differ.
        """
        stored = {_name(event): event for event in kept if event.position is not None}
        marked = ((key, _name(event)) for key, event in self._keys(sent).items())
        fresh = [(key, stored[name]) for key, name in marked if name in stored]
        if not fresh:
            return
        self._ensure_own()
        with self._changed:
            if self._closed:
                return
            room = self._room()
            until = self._clock.now() + FRESH
            self._queue += [(*each, until) for each in fresh[:room]]
            self._is_more = self._is_more or len(fresh) > room
            self._idle = False
            if self._thread is None:
                self._thread = Thread(target=self._run, name="tidings-forward", daemon=True)
                if ref(self) not in _living:
                    _living.append(ref(self))
                self._thread.start()
            self._changed.notify_all()

    def url_of(self, event: Event) -> str:
        """Where an event is to be forwarded to; empty for our own, which say nothing to others."""
        return self.url if self._is_wanted(event) else ""

    def wait(self, seconds: float = PATIENCE) -> bool:
        """Wait until nothing is left to be sent now, so long at most; whether nothing is."""
        self._ensure_own()
        with self._changed:
            return self._changed.wait_for(lambda: self._idle or self._pausing, seconds)

    def close(self, seconds: float = PATIENCE) -> None:
        """Wait for what is being sent, so long at most (seconds), and end; again does nothing."""
        if self._closed:
            return
        is_over = self.wait(seconds)
        with self._changed:
            self._closed = True
            self._waiting.stop()
            self._changed.notify_all()
        if ref(self) in _living:
            _living.remove(ref(self))
        if is_over and self._thread is not None:
            self._thread.join(PATIENCE)  # it is about to end, and must not meet a closed store

    def _keys(self, events: Sequence[Event]) -> dict[str, Event]:
        """The events to be forwarded, each once, by the keys of their marks."""
        wanted: dict[tuple[str, str], Event] = {}
        for event in events:
            if self._is_wanted(event):
                wanted.setdefault(_name(event), event)
        return {key_of(event, self.url): event for event in wanted.values()}

    def _room(self) -> int:
        """How many more events would be sent at once; none while the address is away."""
        return 0 if self._pausing else max(0, _MOST_QUEUED - len(self._queue))

    def _is_wanted(self, event: Event) -> bool:
        return not event.type.startswith(_OWN_TYPES)

    def _ensure_own(self) -> None:
        if self._process != os.getpid():
            self._start_anew()

    # The thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        self._warn()
        while True:
            with self._changed:
                if self._closed:
                    return
                fresh = self._next()
                if fresh is None and not (self._is_more and self._may_read):
                    if not self._rest(_IDLE) and not self._look_again():
                        return
                    continue
            try:
                answer = self._send(fresh)
            except StoreClosed:
                self._end()
                return
            except (StoreUnavailable, OutcomeUnknown):
                self._pause(None)  # it is marked, and is sent again
            except Exception:  # noqa: BLE001 - a bug must not end the thread in silence
                _log.exception("a bug keeps an event from being forwarded; please report it")
                self._pause(None)
            else:
                self._note(answer)

    def _look_again(self) -> bool:
        """After a while without events: whether something is left to be sent; the lock is held."""
        if not (self._waiting.left and self._may_read):
            self._thread = None  # the next event starts one: nobody may ever close this bus
            return False
        self._is_more, self._idle = True, False
        return True

    def _next(self) -> tuple[str, Event] | None:
        """The next event that is surely still ours, and its mark's key; the lock is held."""
        now = self._clock.now()
        while self._queue:
            key, event, until = self._queue.popleft()
            if now <= until:
                return key, event
            self._is_more = True  # others may have claimed it by now
        return None

    def _send(self, fresh: tuple[str, Event] | None) -> Answer | None:
        """Send one, or what waits."""
        if fresh is not None:
            return self._waiting.send_fresh(*fresh)
        self._is_more = False
        try:
            return self._waiting.round()
        except NotAllowed:
            self._may_read = False  # a server's key that may only emit: the server sends the rest
            return None

    def _note(self, answer: Answer | None) -> None:
        if answer is None or answer.verdict != "away":
            self._failures = 0
            return
        if not self._failures:
            _log.info("events wait to be forwarded to %s: %s", masked(self.url), answer.error)
        self._pause(answer.pause)

    def _pause(self, seconds: float | None) -> None:
        """Leave the address alone for a while; what is queued is marked and waits."""
        self._failures = min(self._failures + 1, _AWAY.attempts - 1)
        with self._changed:
            self._queue.clear()
            self._is_more = self._pausing = True
            self._rest(_AWAY.pause(self._failures) or 0.0 if seconds is None else seconds)
            self._pausing = False

    def _rest(self, seconds: float) -> bool:
        """Wait for an event, unless pausing, or the end; whether one came. The lock is held."""
        self._idle = True
        self._changed.notify_all()
        came = self._changed.wait_for(
            lambda: self._closed or (not self._pausing and not self._idle), seconds
        )
        # Who waits for us does not while nothing is to be sent.
        self._idle = not came and not self._pausing
        return came

    def _end(self) -> None:
        with self._changed:
            self._idle = self._closed = True
            self._changed.notify_all()

    def _warn(self) -> None:
        shown = masked(self.url)
        if not is_address(self.url):
            _log.warning(
                "events cannot be forwarded to %s, and wait: the address must begin with https://",
                shorten(shown),
            )
        elif exposes_key(self.url):
            _log.warning("events are forwarded to %s, the API key in clear; use https", shown)


def _name(event: Event) -> tuple[str, str]:
    """What makes it one: ids are unique for their sources."""
    return event.source, event.id


_living: list[ref[Forwarding]] = []
"""Those whose threads have begun and were not told to end."""


def finish(seconds: float = PATIENCE) -> None:
    """Wait for everything that is being forwarded in this process, so long at most (seconds).

    It is about to end, so that buses which are closed afterwards do not wait once more.
    """
    end = monotonic() + seconds
    for living in _living.copy():
        forwarding = living()
        if forwarding is not None:
            forwarding.close(max(0.0, end - monotonic()))


atexit.register(finish)
