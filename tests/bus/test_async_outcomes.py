"""`AsyncBus` tells each of many emitters what became of its own request, however they end."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.bus.loops import AskedStore, kept_lock, run
from tidings.aio import AsyncBus
from tidings.bus import Bus
from tidings.errors import NotAStore, NotKept, SchemaViolation
from tidings.event import Event
from tidings.spool import Collected
from tidings.store.sqlite import SQLiteStore
from tidings.testing.elsewhere import in_threads

if TYPE_CHECKING:
    from pathlib import Path

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a store that holds one event."""
    path = tmp_path / "events.db"
    with Bus(f"sqlite:///{path}") as bus:
        bus.emit("first")
    return path


@pytest.fixture
def no_store(tmp_path: Path) -> Path:
    """The place of a store at which something else lies."""
    path = tmp_path / "letter.db"
    path.write_text("This is no database, but a letter to a friend. " * 50)
    return path


def test_one_lock_for_all_that_wait(path: Path) -> None:
    """Sixty-four emitters that wait for another process share its release: two writes at most."""
    store = AskedStore(path)

    async def main() -> list[Event]:
        async with AsyncBus(store, context=False) as bus:
            with kept_lock(path):
                emits = [
                    asyncio.create_task(bus.emit("x", payload={"n": n}, correlation_id="w"))
                    for n in range(64)
                ]
                await store.was_asked()
            return await asyncio.gather(*emits)

    events = run(main())
    assert [event.payload["n"] for event in events] == list(range(64))
    assert [event.position for event in events] == list(range(2, 66))
    assert (sum(store.calls), len(store.calls) <= 2) == (64, True)


class TestSpooled:
    """When the store is away, each request goes its own way."""

    def test_each_by_itself(self, no_store: Path) -> None:
        """Events wait; what expects a version is told instead; all come home once."""

        async def main() -> None:
            async with AsyncBus(f"sqlite:///{no_store}", context=False) as bus:
                expecting = asyncio.create_task(bus.emit("x", **ABOUT, expected_version=0))
                one, many, envelope = await asyncio.gather(
                    bus.emit("one"),
                    bus.emit_many([Event("two"), {"type": "three"}]),
                    bus.publish(Event("four")),
                )
                with pytest.raises(NotAStore):
                    await expecting
                kept = [one, *many, envelope]
                assert [event.position for event in kept] == [None] * 4
                assert isinstance(bus.bus.last_failure, NotAStore)
                await asyncio.to_thread(no_store.unlink)
                assert bus.bus.collect() == Collected(kept=4, rejected=0, waiting=0)
                found = [event.id async for event in bus.read()]
                assert sorted(found) == sorted(event.id for event in kept)

        run(main())

    def test_no_room_anywhere(self, no_store: Path) -> None:
        """Each emitter is told for itself."""

        async def main() -> None:
            async with AsyncBus(f"sqlite:///{no_store}", spool=f"{no_store}/spool") as bus:
                for emit in [asyncio.create_task(bus.emit("x")) for _ in range(5)]:
                    with pytest.raises(NotKept, match="letter") as told:
                        await emit
                    assert "letter.db" in told.value.__notes__[0]

        run(main())

    def test_cancelled_on_its_way_there(self, tmp_path: Path, path: Path) -> None:
        """Who is cancelled meanwhile hears that the event waits in the spool."""

        class Away(AskedStore):
            """A store whose file goes away while it is asked."""

            def append_all(self, batches: Any) -> list[list[Event] | Exception]:
                """Wait as long as the file's lock is kept, then find another file there."""
                super().append_all([])
                path.rename(tmp_path / "elsewhere.db")
                return SQLiteStore.append_all(self, batches)

        store = Away(path)

        async def main() -> None:
            async with AsyncBus(store, context=False) as bus:
                with kept_lock(path):
                    emit = asyncio.create_task(bus.emit("x"))
                    await store.was_asked()
                    for _ in range(3):
                        emit.cancel()
                        await asyncio.sleep(0)
                        assert not emit.done()
                with pytest.raises(asyncio.CancelledError, match="kept in the spool"):
                    await emit
                assert bus.bus.spool.waiting() == 1

        run(main())


def test_a_schema_refuses_one_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of requests that share a write, those that fit are kept."""
    monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", "strict")

    async def main() -> None:
        async with AsyncBus(AskedStore(path), context=False) as bus:
            await bus.register_type("fit", schema={"type": "object", "required": ["loss"]})
            with kept_lock(path):
                emits = [
                    asyncio.create_task(bus.emit("fit", payload=payload))
                    for payload in ({"loss": 1}, {}, {"loss": 2})
                ]
                await asyncio.sleep(0)
            first, wrong, last = await asyncio.gather(*emits, return_exceptions=True)
            assert isinstance(wrong, SchemaViolation)
            assert isinstance(first, Event)
            assert isinstance(last, Event)
            assert (first.position, last.position) == (2, 3)

    run(main())


def test_cancelling_many_loses_no_track(path: Path) -> None:
    """Of many that are cancelled at once, exactly those are kept that are told so."""
    store = AskedStore(path)

    async def outcome(emit: asyncio.Task[Event]) -> int | None:
        try:
            return (await emit).position
        except asyncio.CancelledError as told:
            return int(str(told).removeprefix("kept at position ")) if told.args else None

    async def main() -> None:
        async with AsyncBus(store, context=False) as bus:
            with kept_lock(path):
                written = [asyncio.create_task(bus.emit("x")) for _ in range(10)]
                await store.was_asked()
                waiting = [asyncio.create_task(bus.emit("x")) for _ in range(10)]
                await asyncio.sleep(0)
                emits = written + waiting
                for emit in emits[::2]:
                    emit.cancel()
                await asyncio.sleep(0)
            told = [await outcome(emit) for emit in emits]
            assert told[0] == 2  # it was being written for sure
            assert told[10::2] == [None] * 5  # their turn had not come
            assert None not in told[1::2]
            kept = [event.position async for event in bus.read(after=1)]
            assert [position for position in told if position] == kept

    run(main())


def test_a_loop_that_ends_keeps_what_was_being_written(path: Path) -> None:
    """Tasks that are left behind are cancelled by the loop, and tell nobody; nothing is torn."""
    store = AskedStore(path)
    bus = AsyncBus(store, context=False)

    async def main() -> asyncio.Task[Event]:
        emit = asyncio.create_task(bus.emit("x"))
        await store.was_asked()
        return emit

    emit = run(main())
    assert emit.done()
    run(bus.close())
    with Bus(f"sqlite:///{path}") as other:
        assert [event.type for event in other.read()] == ["first", "x"]


def test_two_loops_in_two_threads(path: Path) -> None:
    """Each with a bus of its own on the same store: both keep, and follow what both kept."""

    async def main(name: str) -> list[str]:
        async with AsyncBus(f"sqlite:///{path}", context=False, deadline=60) as bus:
            done = asyncio.create_task(bus.wait_for(types="done", after=1))
            events = await asyncio.gather(*(bus.emit(name) for _ in range(50)))
            assert len({event.position for event in events}) == 50
            await bus.emit("done")
            assert await done is not None
            return [event.type async for event in bus.follow(types=["a", "b"], limit=100)]

    one, other = in_threads(*(partial(lambda name: run(main(name)), name) for name in "ab"))
    assert one == other
    assert (one.count("a"), one.count("b")) == (50, 50)


def test_one_bus_in_one_loop_after_another(path: Path) -> None:
    """As scripts do that call `asyncio.run` again and again."""
    bus = AsyncBus(f"sqlite:///{path}", context=False)

    async def main(number: int) -> list[int]:
        await asyncio.gather(*(bus.emit(f"e{number}") for _ in range(3)))
        return [event.position or 0 async for event in bus.follow(after=1, limit=3 * number)]

    for number in (1, 2, 3):
        assert run(main(number)) == list(range(2, 3 * number + 2))
    run(bus.close())
