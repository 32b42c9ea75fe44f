"""The contract of `wait`, and of what becomes of everybody when a store is closed."""

from __future__ import annotations

from functools import partial
from threading import Barrier

import pytest

from tidings.errors import StoreClosed
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.query import Query
from tidings.testing.contract.opening import Opening, a_few
from tidings.testing.elsewhere import PATIENCE, await_type, be_woken, in_threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidings.store.base import Store

_ROUNDS = 20


class Waking(Opening):
    """Tests of waiting, and of closing."""

    def test_what_is_there_is_not_waited_for(self, store: Store) -> None:
        """Whoever waits for a position that is passed gets the head at once."""
        store.append(a_few(3))
        assert [store.wait(after) for after in (0, 2)] == [3, 3]

    def test_waiting_ends_with_its_time(self, store: Store) -> None:
        """When nothing comes in time, the head is returned as it is."""
        store.append(a_few(3))
        assert [store.wait(after, timeout=0.01) for after in (3, 99)] == [3, 3]
        assert store.wait(3, timeout=0) == 3

    def test_an_append_wakes_those_who_wait(self, store: Store) -> None:
        """Two threads that answer each other's events through the store come to an end."""

        def ask() -> int:
            position = 0
            for _ in range(_ROUNDS):
                store.append([Event("ping")])
                position = await_type(store, position, "pong")
            return position

        def answer() -> int:
            position = 0
            for _ in range(_ROUNDS):
                await_type(store, position, "ping")
                position = store.append([Event("pong")])[0].position or 0
            return position

        assert in_threads(ask, answer) == [2 * _ROUNDS, 2 * _ROUNDS]

    def test_every_waiter_is_woken(self, store: Store) -> None:
        """Each append wakes all who wait, again and again, and tells each of them the head."""
        together = Barrier(6)

        def wait() -> list[int]:
            return [_after(together, partial(be_woken, store, n)) for n in range(_ROUNDS)]

        def append() -> list[int]:
            return [
                _after(together, lambda: store.append(a_few(1))[0].position or 0)
                for _ in range(_ROUNDS)
            ]

        assert in_threads(*[wait] * 5, append) == [list(range(1, _ROUNDS + 1))] * 6

    def test_closing_ends_waiting(self, store: Store) -> None:
        """Whoever waits when a store is closed is told so."""

        def wait() -> str:
            try:
                return f"woke at {be_woken(store, be_woken(store, 0))}"
            except StoreClosed:
                return "closed"

        def close() -> str:
            store.append(a_few(1))
            store.close()
            return "closed"

        assert in_threads(wait, wait, close) == ["closed"] * 3

    def test_a_closed_store_serves_nobody(self, store: Store, tmp_path: Path) -> None:
        """After `close` every call says so; closing again does nothing."""
        store.append(a_few(1))
        store.close()
        store.close()
        path = str(tmp_path / "copy")
        calls: dict[str, Callable[[], object]] = {
            "append": lambda: store.append(a_few(1)),
            "append nothing": lambda: store.append([]),
            "append_all": lambda: store.append_all([Batch(a_few(1))]),
            "restore": lambda: store.restore([]),
            "read": lambda: next(store.read(Query())),
            "latest": store.latest,
            "head": store.head,
            "first": store.first,
            "types": store.types,
            "count": lambda: store.count(Query()),
            "summaries": lambda: store.summaries("agent", Query()),
            "histogram": lambda: store.histogram(Query(), 1),
            "wait": lambda: store.wait(0, timeout=0),
            "backup": lambda: store.backup(path),
            "prune": lambda: store.prune(1),
            "redact": lambda: store.redact(Query()),
            "check": store.check,
            "describe": store.describe,
            "get": lambda: store.get("k"),
            "put": lambda: store.put("k", 1),
            "delete": lambda: store.delete("k"),
            "keys": store.keys,
        }
        served = [name for name, call in calls.items() if not _is_refused(call)]
        assert served == []

    def test_a_reading_does_not_end_early_when_its_store_is_closed(self, store: Store) -> None:
        """A reading under way is whole, or ends with the error; it is not cut short in silence."""
        store.append(a_few(5000))
        reading = store.read(Query())
        seen = [next(reading).position]
        store.close()
        try:
            for event in reading:
                seen.append(event.position)  # noqa: PERF401 - what came before the error counts
        except StoreClosed:
            assert seen == list(range(1, len(seen) + 1))
        else:
            assert seen == list(range(1, 5001))

    def test_a_store_closes_itself_after_with(self, tmp_path: Path) -> None:
        """As a context manager a store is closed at the end, also after an error."""
        with pytest.raises(KeyError), self.open_store(tmp_path) as store:
            raise KeyError
        with pytest.raises(StoreClosed, match=r"closed"):
            store.head()


def _after(together: Barrier, call: Callable[[], int]) -> int:
    """Call when all others are about to do the same."""
    together.wait(PATIENCE)
    return call()


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreClosed:
        return True
    return False
