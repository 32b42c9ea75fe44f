"""The live stream of a store that fails, is pruned meanwhile, or is asked by many at once."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.server.live.inside import PATIENT, Listener, emit, serving
from tidings.errors import StoreUnavailable
from tidings.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.server.service import Service
    from tidings.store.base import Store


def with_faulty_store(service: Service) -> Faulty:
    """Put a store that can be made to fail before the service's own."""
    faulty = Faulty(service.store)
    service.bus.bus.store = cast("Store", faulty)
    return faulty


class Faulty:
    """A store that cannot be read while it is not well; its head may still be known."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.knows_its_head = True
        self.well = threading.Event()
        self.well.set()
        self.failed = threading.Event()
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def _checked(self, call: Callable[..., Any], *args: Any) -> Any:
        if not self.well.is_set():
            self.failed.set()
            raise StoreUnavailable("the test took it away")
        return call(*args)

    def head(self) -> Any:
        """As the store's."""
        return self.store.head() if self.knows_its_head else self._checked(self.store.head)

    def wait(self, *args: Any) -> Any:
        """As the store's."""
        return self._checked(self.store.wait, *args)

    def read(self, *args: Any) -> Any:
        """As the store's; counted."""
        self.reads += 1
        return self._checked(self.store.read, *args)


def test_clients_that_come_back_together_are_read_for_once() -> None:
    """After a restart all ask for the same: the store is asked about as often as for one."""

    async def main() -> None:
        async with serving(PATIENT) as service:
            # Not followed, so that all of it must come from the store.
            service.live._keep_going = lambda: None  # type: ignore[method-assign]  # for this test
            await emit(service, *["tick"] * 1000)
            await service.bus.emit_many([Event("big", payload="x" * 20_000) for _ in range(20)])
            faulty = with_faulty_store(service)
            listeners = [Listener(service, "after=0") for _ in range(50)]
            for listener in listeners:
                assert await listener.numbers(1020) == list(range(1, 1021))
            assert faulty.reads < 50
            # What was read at the end is not taken for all that there will be.
            await emit(service, "late")
            service.live._wake_all()
            assert await listeners[0].numbers(1) == [1021]

    asyncio.run(main())


def test_nothing_is_lost_when_the_ring_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in the ring, it begins anew, and streams read on from the store."""

    async def main() -> None:
        async with serving(PATIENT) as service:
            listener = Listener(service)
            await listener.heard()
            await emit(service, "a")
            assert await listener.numbers(1) == [1]
            append = service.live.ring.append

            def fail_once(events: Sequence[Event], end: int, now: float) -> None:
                append(events[:1], end, now)
                monkeypatch.undo()
                raise MemoryError

            monkeypatch.setattr(service.live.ring, "append", fail_once)
            await emit(service, "b", "c", "d")
            assert await listener.numbers(3) == [2, 3, 4]
            await emit(service, "e")
            assert await listener.numbers(1) == [5]
            assert service.live.ring.begun

    asyncio.run(main())


def test_what_is_pruned_before_it_was_followed_is_a_gap() -> None:
    """The client hears of it, and gets all that is left, live and in order."""

    async def main() -> None:
        async with serving() as service:
            faulty = with_faulty_store(service)
            await emit(service, "a")
            listener = Listener(service, "after=0")
            assert await listener.numbers(1) == [1]
            while not service.live.ring.begun:
                await listener.heard()
            faulty.well.clear()
            await asyncio.to_thread(faulty.failed.wait)
            await asyncio.to_thread(faulty.store.append, [Event("b") for _ in range(5)])
            await asyncio.to_thread(faulty.store.prune, 4)
            faulty.well.set()
            gap = await listener.message()
            assert json.loads(gap.data) == {"reason": "pruned", "asked": 1, "first": 5}
            assert await listener.numbers(2) == [5, 6]
            await emit(service, "c")
            assert await listener.numbers(1) == [7]

    asyncio.run(main())


def test_nothing_is_lost_while_the_store_fails() -> None:
    """Streams stay open, live ones and those that read history, and go on when it is back."""

    async def main() -> None:
        async with serving() as service:
            await emit(service, *["tick"] * 3)
            faulty = with_faulty_store(service)
            live = Listener(service)
            await live.heard()
            while not service.live.ring.begun:
                await live.heard()
            faulty.well.clear()
            behind = Listener(service, "after=0")
            await behind.heard()
            await asyncio.to_thread(faulty.failed.wait)
            await asyncio.to_thread(faulty.store.append, [Event("tick"), Event("tick")])
            heartbeats = len(live.reader.comments)
            while len(live.reader.comments) == heartbeats:
                await live.heard()
            faulty.well.set()
            assert await live.numbers(2) == [4, 5]
            assert await behind.numbers(5) == [1, 2, 3, 4, 5]

    asyncio.run(main())


def test_a_stream_is_not_opened_on_a_store_that_fails() -> None:
    """Whoever comes now is refused and comes back, rather than believing to be served."""

    async def main() -> None:
        async with serving() as service:
            faulty = with_faulty_store(service)
            faulty.knows_its_head = False
            faulty.well.clear()
            with pytest.raises(StoreUnavailable):
                await Listener(service).end()
            assert service.limits._streams == 0

    asyncio.run(main())
