"""The watches of a store: what people add, pause, resume and delete.

Keeps promise 5 for watches. A change is a record, and the bell; whoever runs watches takes it up
within about a second. What a watch remembers is in a record of its own, which only its duty writes.
"""

from __future__ import annotations

from tidings.clock import Clock
from tidings.delivery.watches.arrivals import Arrivals
from tidings.delivery.watches.lives import Lives
from tidings.delivery.watches.watch import EXPECTS, Watch, WatchState
from tidings.errors import InvalidSetting, NotFound, RevisionConflict, shorten
from tidings.handlers import check_name
from tidings.store.query import Query
from tidings.store.wire import query_data
from tidings.subscriptions.bell import Bell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.store.base import LedgerRecord, Store

__all__ = ["PREFIX", "Watches", "memory_of"]

PREFIX = "watch/"

_MICROSECONDS = 1_000_000
_LONGEST = 100 * 366 * 86_400 * _MICROSECONDS


class Watches:
    """The watches of a store.

    Args:
        store: whose ledger holds them.
        clock: what time it is.

    >>> from tidings.store.memory import MemoryStore
    >>> watches = Watches(MemoryStore())
    >>> watch = watches.add("nightly", 86_400, Query(types="build_result"))
    >>> [(state.watch.name, state.status) for state in watches.list()]
    [('nightly', 'new')]
    """

    def __init__(self, store: Store, *, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()

    def add(
        self, name: str, within: float, query: Query | None = None, *, expects: str = "event"
    ) -> Watch:
        """Expect something from now on.

        Args:
            name: what to call it.
            within: in what time (seconds).
            query: which events; none for any. Where ends or signs of life are expected: the events
                that begin something watched. Its window counts for nothing.
            expects: `event`, `ends` or `heard`; see `EXPECTS`.

        Raises:
            InvalidSetting: the name cannot be one or is taken, or the time makes no sense.
        """
        check_name("watch", name)
        if expects not in EXPECTS:
            raise InvalidSetting(f"expects {shorten(expects)} must be one of {', '.join(EXPECTS)}")
        span = round(within * _MICROSECONDS)
        if not 0 < span <= _LONGEST:
            raise InvalidSetting(
                f"within {within:g} must be seconds, more than 0 and up to a hundred years"
            )
        wanted = Query() if query is None else query
        filters = query_data(wanted.replace(after=0, before=None, limit=None, backwards=False))
        now = self._clock.now()
        watch = Watch(name, expects, span, filters, False, now, self._store.catch_up(), now)
        try:
            self._store.put(PREFIX + name, watch.to_value(), 0)
        except RevisionConflict:
            raise InvalidSetting(
                f"there is a watch {name} already; delete it first, or take another name"
            ) from None
        Bell(self._store).ring()
        return watch

    def list(self) -> list[WatchState]:
        """All of them, by name."""
        found = [self._store.get(key) for key in self._store.keys(PREFIX)]
        return [self._state(Watch.of(record.value)) for record in found if record is not None]

    def get(self, name: str) -> WatchState:
        """How one stands.

        Raises:
            NotFound: there is none of that name.
        """
        return self._state(Watch.of(self._record(name).value))

    def pause(self, name: str) -> Watch:
        """Expect nothing until it is resumed; raises as `get`."""
        return self._change(name, lambda watch: watch._replace(paused=True))

    def resume(self, name: str) -> Watch:
        """Expect it again, from now on; raises as `get`.

        What is missed then stays missed until an event comes.
        """
        now = self._clock.now()
        return self._change(
            name,
            lambda watch: watch._replace(paused=False, since=now) if watch.paused else watch,
        )

    def delete(self, name: str) -> None:
        """Forget it; raises as `get`. The events it has emitted stay."""
        watch = Watch.of(self._record(name).value)
        self._store.delete(PREFIX + name)
        self._store.delete(watch.state_key)
        Bell(self._store).ring()

    def _change(self, name: str, change: Callable[[Watch], Watch]) -> Watch:
        while True:
            record = self._record(name)
            watch = change(Watch.of(record.value))
            try:
                self._store.put(PREFIX + name, watch.to_value(), record.revision)
            except RevisionConflict:
                continue  # somebody else changed it in between
            Bell(self._store).ring()
            return watch

    def _record(self, name: str) -> LedgerRecord:
        # A name that cannot be one might be no key either.
        check_name("watch", name)
        record = self._store.get(PREFIX + name)
        if record is None:
            raise NotFound("watch", name, "`tidings watch list` shows what there is")
        return record

    def _state(self, watch: Watch) -> WatchState:
        record = self._store.get(watch.state_key)
        if record is None:
            return WatchState(watch, "paused" if watch.paused else "new")
        memory = memory_of(watch, record.value.get("memory"))
        position = record.value["position"]
        if isinstance(memory, Arrivals):
            trouble = "missed" if memory.missed is not None else "waiting"
            state = WatchState(watch, trouble, memory.deadline, memory.missed, position=position)
        else:
            stuck = tuple(memory.stuck())
            state = WatchState(
                watch,
                "stuck" if stuck else "waiting",
                memory.deadline,
                stuck=stuck,
                open=memory.count,
                full=memory.full,
                position=position,
            )
        return state._replace(status="paused", deadline=None) if watch.paused else state


def memory_of(watch: Watch, value: object) -> Arrivals | Lives:
    """What a watch remembers, from its record's `memory`."""
    known = value if isinstance(value, dict) else None
    if watch.expects == "event":
        return Arrivals(watch.within, watch.since, known)
    return Lives(watch.within, watch.since, must_end=watch.expects == "ends", value=known)
