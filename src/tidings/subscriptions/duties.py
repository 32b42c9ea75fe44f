"""Duties: what exactly one live process does at a time, and the runner that does them.

A partition of a subscription, a notice, a watch: each is a duty with a lease, whose record is all
it remembers. A duty works in turns; a turn takes the instant as an argument, so that a test calls
turns with instants of its own and nothing sleeps. The runner takes leases, gives each duty that is
held a thread, and calls the next turn when an event was kept, when the duty asked to come back, or
when the bell rang. It keeps no promise by itself: a duty may be interrupted anywhere.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from threading import Condition, Thread
from threading import Event as Signal
from time import monotonic

from tidings.clock import Clock
from tidings.errors import LeaseLost, OutcomeUnknown, StoreClosed, StoreUnavailable
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.leases import Leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from tidings.store.base import Store
    from tidings.subscriptions.leases import Lease

__all__ = ["Duty", "Runner"]

_MICROSECONDS = 1_000_000

_BELL_SECONDS = 1.0
"""How often the bell is listened for, and the longest that a new event goes unnoticed by duties if
the store's own waking fails."""

_PAUSE_SECONDS = 5.0
"""So long a duty rests after a failure that is none of its own business, such as a bug."""

_GRACE_SECONDS = 10.0
"""So long `Runner.close` waits for turns to end."""

_log = logging.getLogger("tidings.subscriptions")


class Duty(ABC):
    """Something that exactly one live process does.

    Attributes:
        key: of its record in the ledger, which is its lease.
        first: what the record holds at first.
        position: how far it has looked in the log; its next turn comes when the head is past that.
    """

    key: str
    first: dict[str, Any]
    position: int = 0

    @abstractmethod
    def turn(self, lease: Lease, now: int) -> int | None:
        """Do what is to be done now; in a thread of its own.

        All it may rely on is `lease.value`, as `lease.save` wrote it. It should end within some
        seconds, and early where `lease.wanted`.

        Args:
            lease: held.
            now: the instant (microseconds since 1970).

        Returns:
            The instant to come back at the latest, even if nothing is emitted; none for no such.

        Raises:
            LeaseLost: it was taken over; it goes on elsewhere.
            StoreUnavailable, OutcomeUnknown: the store is away; the turn is called again.
        """

    def rang(self) -> None:  # noqa: B027 - most have nothing that people change
        """Note that the bell rang: before the next turn, look again at what people may change."""

    def leave(self, lease: Lease) -> None:  # noqa: B027 - most save at the end of each turn
        """Save what is not saved yet; called, between turns, before the lease is given up.

        Raises:
            LeaseLost, StoreUnavailable, OutcomeUnknown: as for `turn`; it is given up all the same.
        """


class Runner:
    """Runs duties, those whose leases this process gets.

    Args:
        store: where the leases are.
        leases: what this process holds, started and closed by whoever gives them; none for its own.
        clock: what time it is.

    `start` and `close` it, or use it as a context manager.
    """

    def __init__(
        self, store: Store, *, leases: Leases | None = None, clock: Clock | None = None
    ) -> None:
        self.store = store
        self.clock = clock or Clock()
        self.leases = leases or Leases(store, clock=self.clock)
        self._own_leases = leases is None
        self.leases.on_change.append(self._changed)
        self._bell = Bell(store)
        self._moved = Condition()
        self._head = 0
        self._rings = 0
        self._duties: dict[str, Duty] = {}
        self._threads: dict[str, Thread] = {}
        self._stopping = Signal()
        self._watching: Thread | None = None

    def add(self, duty: Duty) -> None:
        """Offer to do it; it begins once its lease is ours."""
        with self._moved:
            self._duties[duty.key] = duty
        self.leases.offer(duty.key, duty.first)

    def remove(self, key: str) -> None:
        """Do it no longer; a turn that has begun ends first, elsewhere than here."""
        with self._moved:
            self._duties.pop(key, None)
            self._moved.notify_all()
        self.leases.withdraw(key)

    def keys(self) -> list[str]:
        """The keys of the duties it offers to do."""
        with self._moved:
            return list(self._duties)

    def start(self) -> None:
        """Begin; returns at once."""
        if self._watching is None:
            self._watching = Thread(target=self._watch, name="tidings-duties", daemon=True)
            self._watching.start()
            if self._own_leases:
                self.leases.start()

    def wake(self) -> None:
        """Have every duty take a turn now, as if the bell had rung."""
        with self._moved:
            self._rings += 1
            self._moved.notify_all()

    def close(self) -> None:
        """Let turns end and give their leases up; calling again is harmless.

        What does not end within ten seconds is left to end by itself: its lease is given up, so it
        can write nothing any more.
        """
        self._stopping.set()
        with self._moved:
            self._moved.notify_all()
        deadline = self.clock.elapsed() + _GRACE_SECONDS
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - self.clock.elapsed()))
        for key in self.keys():
            self.leases.withdraw(key)
        with self._moved:
            if self._changed in self.leases.on_change:
                self.leases.on_change.remove(self._changed)
        if self._own_leases:
            self.leases.close()
        # The watching thread ends by itself, within a second: nothing of the store wakes it sooner.

    # Threads -------------------------------------------------------------------------------------

    def _changed(self) -> None:
        """Give each duty that is held a thread; called after leases came or went."""
        with self._moved:
            for key in self.leases.all_held():
                duty, thread = self._duties.get(key), self._threads.get(key)
                if duty is None or self._stopping.is_set():
                    continue
                if thread is None or not thread.is_alive():
                    name = f"tidings-{key}"
                    thread = Thread(target=self._do, args=(duty,), name=name, daemon=True)
                    self._threads[key] = thread
                    thread.start()
            self._moved.notify_all()

    def _watch(self) -> None:
        """Notice new events and the bell, for all duties."""
        listened = -_BELL_SECONDS
        while not self._stopping.is_set():
            rang = False
            try:
                head = self.store.wait(self._head, _BELL_SECONDS)
                # However fast events come, the bell costs one look-up a second.
                if monotonic() - listened >= _BELL_SECONDS * 0.9:
                    listened = monotonic()
                    rang = self._bell.rang()
            except StoreClosed:
                return
            except (StoreUnavailable, OutcomeUnknown):
                self._stopping.wait(_BELL_SECONDS)  # `Leases` tells of it
                continue
            except Exception:  # noqa: BLE001 - a bug must not leave all duties deaf
                _log.exception("noticing new events failed; it is done again")
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            with self._moved:
                self._head = max(self._head, head)
                self._rings += rang
                self._moved.notify_all()
            if any(not thread.is_alive() for thread in list(self._threads.values())):
                self._changed()  # its lease was taken anew while the old thread was ending

    def _do(self, duty: Duty) -> None:
        """Take turns for as long as the lease is ours."""
        rings = -1
        while not self._stopping.is_set():
            lease = self.leases.held(duty.key)
            if lease is None or not self._offers(duty):
                return
            if lease.wanted:
                break
            if rings != self._rings:
                rings = self._rings
                duty.rang()
            self._rest(duty, rings, self._turn(duty, lease))
        self._leave(duty)

    def _offers(self, duty: Duty) -> bool:
        """Whether it is still to be done; another of the same key may have come in its place."""
        with self._moved:
            return self._duties.get(duty.key) is duty

    def _leave(self, duty: Duty) -> None:
        """Have a duty save, and give its lease up."""
        lease = self.leases.held(duty.key)
        if lease is None or not self._offers(duty):
            return
        try:
            duty.leave(lease)
        except (LeaseLost, StoreUnavailable, OutcomeUnknown, StoreClosed) as error:
            _log.info("%s could not save before it was given up: %s", duty.key, error)
        except Exception:  # noqa: BLE001 - a bug must not keep the lease from others
            _log.exception("%s could not save before it was given up", duty.key)
        if self._stopping.is_set():
            self.leases.withdraw(duty.key)  # else it would come back while other turns end
        else:
            self.leases.release(duty.key)

    def _turn(self, duty: Duty, lease: Lease) -> int | None:
        """One turn; what goes wrong ends the turn only. Returns when the next is due."""
        now = self.clock.now()
        try:
            return duty.turn(lease, now)
        except LeaseLost as error:
            lease.forget()
            self.leases.hurry()
            _log.info("%s", error)
        except StoreClosed:
            self._stopping.set()
        except (StoreUnavailable, OutcomeUnknown) as error:
            # Each second, for each duty: `leases` tells people once that the store is away.
            _log.debug("%s waits for the store: %s", duty.key, error)
            self._stopping.wait(_BELL_SECONDS)
        except Exception:  # noqa: BLE001 - a bug must not end the duty for good, nor spin
            _log.exception("a turn of %s failed; it is taken again", duty.key)
            self._stopping.wait(_PAUSE_SECONDS)
        return now

    def _rest(self, duty: Duty, rings: int, due: int | None) -> None:
        """Wait for the next turn."""
        left = None if due is None else (due - self.clock.now()) / _MICROSECONDS
        with self._moved:
            if left is not None and left <= 0:
                return
            self._moved.wait_for(
                lambda: (
                    self._stopping.is_set()
                    or self._head > duty.position
                    or self._rings != rings
                    or (lease := self.leases.held(duty.key)) is None
                    or lease.wanted
                    or self._duties.get(duty.key) is not duty
                ),
                _BELL_SECONDS * 5 if left is None else min(left, _BELL_SECONDS * 5),
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
