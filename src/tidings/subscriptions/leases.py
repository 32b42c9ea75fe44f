"""Leases: which process runs what, taken over when one dies, fenced when one was paused.

Keeps its part of promise 3: over any number of processes each partition is read by one of them. A
lease *is* the record in which its reader keeps how far it has come: whoever holds it writes by
compare-and-set, so a process that slept through its end cannot write an old position back.

Each process beats in one record of its own, `worker/ID`, however much it holds. It counts as dead
when its beat has not changed for `PATIENCE` on the watcher's own clock; times of different machines
are never compared. Of those alive that offer to run something one is chosen by rendezvous hashing
(Thaler and Ravishankar, 1998), so all agree without talking, and few things move when one comes.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from hashlib import blake2b
from socket import gethostname
from threading import Event as Signal
from threading import Lock, Thread
from typing import NamedTuple

from tidings.clock import Clock
from tidings.errors import OutcomeUnknown, RevisionConflict, StoreClosed, StoreUnavailable
from tidings.ids import new_id
from tidings.store.base import LedgerRecord
from tidings.subscriptions.lease import OWNER, Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tidings.store.base import Store

__all__ = ["BEAT", "OWNER", "PATIENCE", "WORKERS", "Lease", "Leases"]

WORKERS = "worker/"

BEAT = 1.5
"""A process beats so often (seconds)."""

PATIENCE = 5.0
"""A process that has not beaten for so long (seconds) is dead, and what it held is taken over."""

_log = logging.getLogger("tidings.subscriptions")


class _Sign(NamedTuple):
    """The last beat seen of a process: at which revision, when first, and what it offers."""

    revision: int
    seen: float
    offers: frozenset[str]


class Leases:
    """What one process holds of what it offers to run.

    Args:
        store: whose ledger holds the records.
        clock: what time it is.
        beat: as `BEAT` (seconds).
        patience: as `PATIENCE` (seconds); the same for all processes of a store.

    Attributes:
        worker: the id of this process among those of the store.
        on_change: called, in the thread of `turn`, after leases were taken, lost or are wanted.

    `start` has a thread do everything; without it, call `turn` by hand. Safe for many threads.

    >>> from tidings.store.memory import MemoryStore
    >>> leases = Leases(MemoryStore())
    >>> leases.offer("partition/notify/1/0", {"position": 0})
    >>> leases.turn()
    >>> lease = leases.held("partition/notify/1/0")
    >>> lease.save({"position": 7})
    >>> leases.close()
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        beat: float = BEAT,
        patience: float = PATIENCE,
    ) -> None:
        self.worker = new_id()
        self.on_change: list[Callable[[], None]] = []
        self._store = store
        self._clock = clock or Clock()
        self._every = beat
        self._patience = patience
        self._lock = Lock()
        self._turning = Lock()
        self._offers: dict[str, dict[str, Any]] = {}
        self._held: dict[str, Lease] = {}
        # What is not held though its record may say so: nobody else takes it while we live.
        self._astray: set[str] = set()
        self._signs: dict[str, _Sign] = {}
        self._beaten: float | None = None
        self._revision = 0
        self._stopping = False
        self._soon = Signal()
        self._thread: Thread | None = None

    def offer(self, key: str, first: dict[str, Any]) -> None:
        """Offer to run something.

        Args:
            key: of its record in the ledger.
            first: what the record holds at first, where it is not there yet.
        """
        with self._lock:
            self._offers[key] = first
        self.hurry()

    def withdraw(self, key: str) -> None:
        """Offer it no longer, and give it up if it is held."""
        with self._lock:
            self._offers.pop(key, None)
        self.release(key)

    def held(self, key: str) -> Lease | None:
        """The lease, if this process may act on it now.

        It may not while it could not beat for so long that others may take it for dead.
        """
        with self._lock:
            lease = self._held.get(key)
            if lease is None or lease.lost or not self._is_sure():
                return None
            return lease

    def all_held(self) -> list[str]:
        """The keys of what this process may act on now."""
        with self._lock:
            if not self._is_sure():
                return []
            return [key for key, lease in self._held.items() if not lease.lost]

    def release(self, key: str) -> None:
        """Give a lease up, so that another process can take it at once."""
        with self._lock:
            lease = self._held.pop(key, None)
            if lease is not None:
                self._astray.add(key)  # in case it is not heard whether it was given up
        if lease is not None:
            try:
                lease.give_up()
            except (StoreUnavailable, OutcomeUnknown, StoreClosed) as error:
                with self._lock:
                    self._astray.add(key)
                _log.info("%s could not be given up yet: %s", key, error)

    def turn(self) -> None:
        """Beat if it is time, see who lives, take what is to be ours.

        Raises:
            StoreUnavailable, OutcomeUnknown: the store is away; call again later.
        """
        with self._turning:
            self._turn()

    def _turn(self) -> None:
        now = self._clock.elapsed()
        with self._lock:
            offers = dict(self._offers)
        if self._beaten is not None and now - self._beaten >= self._patience:
            self._lose_all()  # Others may have taken us for dead; what we hold is looked at anew.
        self._beat(offers, now)
        changed = self._drop_lost()
        alive = self._look_around(now)
        try:
            for key, first in offers.items():
                chosen = _chosen(key, alive, self.worker)
                changed |= self._claim(key, first, alive) if chosen else self._give_way(key)
                elapsed = self._clock.elapsed()
                if elapsed - now >= self._every:
                    now = elapsed
                    self._beat(offers, now)  # much to claim, or a slow store
                    alive = self._look_around(now)
            self._give_back()
        finally:
            # Also where the store went away: nobody else tells of what was claimed before.
            if changed:
                for told in list(self.on_change):
                    told()

    def start(self) -> None:
        """Have a thread turn until `close`."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="tidings-leases", daemon=True)
            self._thread.start()

    def hurry(self) -> None:
        """Have the thread turn now: something is to be had, or was lost."""
        self._soon.set()

    def close(self) -> None:
        """Give everything up, so that others need not wait; calling again is harmless."""
        self._stopping = True
        self._soon.set()
        if self._thread is not None:
            self._thread.join()
        with self._turning:
            for key in list(self._held):
                self.release(key)
            try:
                if self._revision:
                    self._store.delete(WORKERS + self.worker)
            except (StoreUnavailable, OutcomeUnknown, StoreClosed) as error:
                _log.info("this process could not sign off and will be taken for dead: %s", error)
            self._revision = 0

    def _run(self) -> None:
        trouble = ""
        while not self._stopping:
            try:
                self.turn()
            except StoreClosed:
                return
            except (StoreUnavailable, OutcomeUnknown) as error:
                if not trouble:
                    _log.warning("the store is away; handlers wait for it: %s", error)
                trouble = str(error)
            except Exception:  # noqa: BLE001 - without beats all that runs here would stop
                _log.exception("a beat failed; the next one follows")
            else:
                if trouble:
                    _log.info("the store is back; handlers go on")
                trouble = ""
            self._soon.wait(self._every)
            self._soon.clear()

    # Beats ---------------------------------------------------------------------------------------

    def _beat(self, offers: Iterable[str], now: float) -> None:
        said = {"host": gethostname(), "pid": os.getpid(), "offers": sorted(offers)}
        self._revision = self._store.put(WORKERS + self.worker, said)
        self._beaten = now

    def _is_sure(self) -> bool:
        """Whether nobody can take this process for dead yet; a beat's time is kept in reserve."""
        if self._beaten is None:
            return False
        return self._clock.elapsed() - self._beaten < self._patience - min(self._every, 1.0)

    def _look_around(self, now: float) -> dict[str, frozenset[str]]:
        """What each process alive offers; the records of the dead are removed."""
        signs: dict[str, _Sign] = {}
        for key in self._store.keys(WORKERS):
            record = self._store.get(key)
            if record is None:
                continue
            worker = key.removeprefix(WORKERS)
            known = self._signs.get(worker)
            if known is None or known.revision != record.revision:
                known = _Sign(record.revision, now, frozenset(record.value["offers"]))
            elif worker != self.worker and now - known.seen >= self._patience:
                if self._bury(key, record.revision):
                    continue
                known = _Sign(0, now, known.offers)  # it beat in between, so it lives
            signs[worker] = known
        self._signs = signs
        return {worker: sign.offers for worker, sign in signs.items()}

    def _bury(self, key: str, revision: int) -> bool:
        try:
            self._store.delete(key, revision)
        except RevisionConflict:
            return False
        _log.warning("process %s has died; what it ran is taken over", key.removeprefix(WORKERS))
        return True

    # Claims --------------------------------------------------------------------------------------

    def _claim(self, key: str, first: dict[str, Any], alive: dict[str, frozenset[str]]) -> bool:
        """Take what is free and ours to take; whether anything changed."""
        with self._lock:
            lease = self._held.get(key)
            if lease is not None:
                lease.wanted = False
                return False
            if key not in self._offers:
                return False  # withdrawn since this turn began
        record = self._store.get(key)
        owner = None if record is None else record.value.get(OWNER)
        if owner in alive and owner != self.worker:
            return False
        value = {**(first if record is None else record.value), OWNER: self.worker}
        with self._lock:
            self._astray.add(key)  # in case it is not heard whether it was written
        try:
            revision = self._store.put(key, value, 0 if record is None else record.revision)
        except RevisionConflict:
            return False  # another process was quicker, or somebody changed it: next time
        new = LedgerRecord(key, revision, value)
        inherited = owner not in (None, self.worker)
        taken = Lease(self._store, key, self.worker, new, inherited=inherited)
        with self._lock:
            is_offered = key in self._offers
            if is_offered:
                self._held[key] = taken
        if not is_offered and record is None:
            # Withdrawn just now, maybe because it is no more: it must not be there anew.
            with suppress(RevisionConflict):
                self._store.delete(key, revision)
        return is_offered  # what was there before and is not, `_give_back` gives up

    def _give_way(self, key: str) -> bool:
        with self._lock:
            lease = self._held.get(key)
            if lease is None or lease.wanted:
                return False
            lease.wanted = True
            return True

    def _give_back(self) -> None:
        """Write that we do not hold what we lost and did not take again, where it is written."""
        with self._lock:
            self._astray -= self._held.keys()
            astray = list(self._astray)
        for key in astray:
            record = self._store.get(key)
            if record is not None and record.value.get(OWNER) == self.worker:
                try:
                    self._store.put(key, {**record.value, OWNER: None}, record.revision)
                except RevisionConflict:
                    continue  # somebody changed it: next time
            with self._lock:
                self._astray.discard(key)

    def _drop_lost(self) -> bool:
        with self._lock:
            lost = [key for key, lease in self._held.items() if lease.lost]
            for key in lost:
                del self._held[key]
            self._astray.update(lost)
        return bool(lost)

    def _lose_all(self) -> None:
        with self._lock:
            for lease in self._held.values():
                lease.forget()


def _chosen(key: str, alive: dict[str, frozenset[str]], worker: str) -> bool:
    """Whether of all that offer it this process is the one to run it."""
    offering = [each for each, offers in alive.items() if key in offers]
    return bool(offering) and worker == max(offering, key=lambda each: _weight(each, key))


def _weight(worker: str, key: str) -> bytes:
    return blake2b(f"{worker}\0{key}".encode(), digest_size=8).digest()
