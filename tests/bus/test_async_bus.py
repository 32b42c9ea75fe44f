"""The bus for asyncio: group commit, cancellation without doubt, followers by the dozen."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from threading import Event as Flag
from typing import Any, TypeVar

import pytest

from tidings import AsyncBus, Bus, Event, EventKind, create_event
from tidings.envelope import from_event
from tidings.errors import (
    HistoryPruned,
    IdConflict,
    InvalidEvent,
    StoreClosed,
    StoreLocked,
    StoreUnavailable,
    VersionConflict,
)
from tidings.store.base import Batch
from tidings.store.sqlite import SQLiteStore

T = TypeVar("T")
PATIENCE = 60


class GatedStore(SQLiteStore):
    """A SQLite store that counts its transactions, and waits before each until the gate is open."""

    def __init__(self, path: Path, *, deadline: float = 30) -> None:
        super().__init__(str(path), deadline=deadline)
        self.gate = Flag()
        self.entered = Flag()
        self.sizes: list[int] = []

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep the batches, once the gate is open."""
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        self.sizes.append(len(batches))
        return super().append_all(batches)

    async def is_entered(self) -> None:
        """Wait until an append stands before the gate."""
        assert await asyncio.to_thread(self.entered.wait, PATIENCE)


@pytest.fixture
def store(tmp_path: Path) -> GatedStore:
    """A store whose gate is closed."""
    return GatedStore(tmp_path / "events.db")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, with a hard limit."""

    async def limited() -> T:
        return await asyncio.wait_for(main(), PATIENCE)

    return asyncio.run(limited())


async def start(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task and let it come to where it waits."""
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


# Group commit -------------------------------------------------------------------------------------


def test_emitters_share_transactions(store: GatedStore) -> None:
    """While the first is written, 63 others queue up; one transaction keeps them all."""

    async def main() -> None:
        async with AsyncBus(store, context=False) as bus:
            emits = [await start(bus.emit("x", payload={"n": n})) for n in range(64)]
            await store.is_entered()
            store.gate.set()
            events = await asyncio.gather(*emits)
            assert [event.payload["n"] for event in events] == list(range(64))
            assert [event.position for event in events] == list(range(1, 65))
            assert [event async for event in bus.read()] == events

    run(main)
    assert sum(store.sizes) == 64
    assert len(store.sizes) <= 2


def test_a_bad_request_fails_alone(store: GatedStore) -> None:
    """Of requests that share a transaction each has its own result or error."""
    store.gate.set()
    about: dict[str, Any] = {"aggregate_type": "a", "aggregate_id": "1"}

    async def main() -> list[Any]:
        async with AsyncBus(store, context=False) as bus:
            await bus.publish(Event("x", id="taken", **about))
            store.gate.clear()
            store.entered.clear()
            blocker = await start(bus.emit("blocker"))
            await store.is_entered()
            requests = [
                await start(request)
                for request in (
                    bus.emit("good"),
                    bus.emit("x", expected_version=7, **about),
                    bus.publish(Event("other", id="taken")),
                    bus.emit("x", expected_version=1, **about),
                    bus.emit("x", expected_version=1, **about),
                    bus.emit_many([{"type": "many"}, {"type": "many", "id": "taken"}]),
                    bus.emit_many([{"type": "many"}, {"type": "many"}]),
                )
            ]
            store.gate.set()
            await blocker
            return await asyncio.gather(*requests, return_exceptions=True)

    good, wrong, taken, first, second, mixed, many = run(main)
    assert store.sizes[-1] == 7
    assert good.position == 3
    assert isinstance(wrong, VersionConflict)
    assert isinstance(taken, IdConflict)
    assert (first.position, first.version) == (4, 2)
    assert isinstance(second, VersionConflict)
    assert (second.expected, second.actual) == (1, 2)
    assert isinstance(mixed, IdConflict)
    assert [event.position for event in many] == [5, 6]


def test_many_batches_are_one_request(store: GatedStore) -> None:
    """Batches kept at once share a transaction, and each has its own outcome."""
    store.gate.set()
    told: list[tuple[int, int]] = []

    async def main() -> list[list[Event] | Exception]:
        async with AsyncBus(store) as bus:
            bus.on_commit = lambda batches, events, _: told.append((batches, events))
            return await bus.keep_all(
                [
                    Batch([Event("a", id="1"), Event("b")]),
                    Batch([Event("other", id="1")]),
                    Batch([Event("c")]),
                ]
            )

    first, second, third = run(main)
    assert isinstance(first, list)
    assert isinstance(second, IdConflict)
    assert isinstance(third, list)
    assert [event.position for event in (*first, *third)] == [1, 2, 3]
    assert store.sizes == [3]
    assert told == [(3, 4)]


def test_waiting_gives_the_head(open_store: GatedStore) -> None:
    """Who waits is told the head when it moves, or when time is up."""

    async def main() -> tuple[int, int]:
        async with AsyncBus(open_store) as bus:
            waiting = await start(bus.wait(0, PATIENCE))
            await bus.emit("x")
            return await waiting, await bus.wait(1, 0)

    assert run(main) == (1, 1)


def test_a_bus_that_does_not_spool_says_why(tmp_path: Path) -> None:
    """Without spooling the error comes out, and nothing waits anywhere."""
    path = tmp_path / "events.db"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE foreign_to_us (x)")

    async def main() -> None:
        spool = tmp_path / "spool"
        async with AsyncBus(f"sqlite:///{path}", spool=str(spool), spooling=False) as bus:
            with pytest.raises(StoreUnavailable):
                await bus.emit("x")
            assert not spool.exists()

    run(main)


def test_what_breaks_a_rule_is_never_queued(store: GatedStore) -> None:
    """An invalid event is refused at once, whatever the store does."""

    async def main() -> None:
        async with AsyncBus(store) as bus:
            with pytest.raises(InvalidEvent):
                await bus.emit("")
            with pytest.raises(InvalidEvent):
                await bus.emit_many([{"type": "x"}, {"kind": "x"}])

    run(main)
    assert store.sizes == []


# Cancellation -------------------------------------------------------------------------------------


def test_cancelled_before_its_turn_keeps_nothing(store: GatedStore) -> None:
    """A request that waits in the queue is withdrawn; the others are kept."""

    async def main() -> list[Event]:
        async with AsyncBus(store, context=False) as bus:
            first = await start(bus.emit("first"))
            await store.is_entered()
            waiting = await start(bus.emit("withdrawn"))
            last = await start(bus.emit("last"))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await waiting
            assert caught.value.args == ()
            store.gate.set()
            await asyncio.gather(first, last)
            return [event async for event in bus.read()]

    assert [event.type for event in run(main)] == ["first", "last"]


@pytest.mark.parametrize("expected_version", [0, 3])
def test_cancelled_in_the_middle_says_what_became_of_it(
    store: GatedStore, expected_version: int
) -> None:
    """A request that is being written is waited for, also when it is cancelled twice."""

    async def main() -> tuple[str, int]:
        async with AsyncBus(store, context=False) as bus:
            emit = bus.emit(
                "x", aggregate_type="a", aggregate_id="1", expected_version=expected_version
            )
            task = await start(emit)
            await store.is_entered()
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0)
                assert not task.done()
            store.gate.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value.args[0], bus.store.head()

    said, head = run(main)
    if expected_version == 0:
        assert (said, head) == ("kept at position 1", 1)
    else:
        assert (said.split(":")[0], head) == ("not kept", 0)


def test_a_timeout_leaves_no_doubt(store: GatedStore) -> None:
    """`asyncio.timeout` around an emit that is being written: the event is there, and known."""

    async def main() -> list[Event]:
        async with AsyncBus(store, context=False) as bus:
            emit = await start(bus.emit("x"))
            await store.is_entered()

            async def open_when_time_is_up() -> None:
                while not emit.cancelling():  # noqa: ASYNC110 - a task tells nobody of that
                    await asyncio.sleep(0)
                store.gate.set()

            opening = asyncio.create_task(open_when_time_is_up())
            with pytest.raises(TimeoutError) as caught:
                await asyncio.wait_for(emit, 0.01)
            await opening
            assert "kept at position 1" in str(caught.value.__cause__)
            return [event async for event in bus.read()]

    assert [event.type for event in run(main)] == ["x"]


# Spooling, closing, forking -----------------------------------------------------------------------


def test_a_store_that_is_away_spools_each(tmp_path: Path) -> None:
    """Emits that share a transaction that fails are spooled one by one, but expectations."""
    path = tmp_path / "events.db"

    async def main() -> None:
        spool = str(tmp_path / "spool")
        async with AsyncBus(f"sqlite:///{path}", spool=spool, deadline=0.01) as bus:
            await bus.emit("first")
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            events = await asyncio.gather(*(bus.emit("x", payload={"n": n}) for n in range(10)))
            assert [event.position for event in events] == [None] * 10
            with pytest.raises(StoreLocked):
                await bus.emit("x", aggregate_type="a", aggregate_id="1", expected_version=0)
            other.execute("ROLLBACK")
            other.close()
            assert bus.bus.collect().kept == 10
            assert len(await bus.history()) == 11

    run(main)


def test_closing_keeps_what_was_asked_for(store: GatedStore) -> None:
    """Two closes at once wait for what is queued; afterwards everything is refused."""

    async def main() -> None:
        bus = AsyncBus(store, context=False)
        emits = [await start(bus.emit("x")) for _ in range(20)]
        closing = [await start(bus.close()) for _ in range(2)]
        store.gate.set()
        await asyncio.gather(*closing)
        positions = [event.position for event in await asyncio.gather(*emits)]
        assert positions == list(range(1, 21))
        for use in (bus.emit("x"), bus.latest(), bus.history(), bus.emit_many([])):
            with pytest.raises(StoreClosed):
                await use
        await bus.close()

    run(main)
    with Bus(f"sqlite:///{store.path}") as bus:
        assert bus.store.head() == 20


FORK = """
import asyncio, os, sys
from tidings import AsyncBus

bus = AsyncBus(f"sqlite:///{sys.argv[1]}", context=False, deadline=30)

async def use(name):
    emitted = await asyncio.gather(*(bus.emit(name) for _ in range(10)))
    found = [event async for event in bus.follow(types=name, limit=10)]
    assert sorted(e.id for e in emitted) == sorted(e.id for e in found)
    assert [event async for event in bus.follow(after=found[-1].position, timeout=0.01)] == []

asyncio.run(use("parent"))
child = os.fork()
if child == 0:
    asyncio.run(use("child"))
    asyncio.run(bus.close())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
asyncio.run(use("after"))
asyncio.run(bus.close())
print("well")
"""


def test_a_bus_is_used_after_a_fork(tmp_path: Path) -> None:
    """Both sides go on with writer and watch threads of their own."""
    command = [sys.executable, "-c", FORK, str(tmp_path / "events.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr


# Following ----------------------------------------------------------------------------------------


@pytest.fixture
def open_store(store: GatedStore) -> GatedStore:
    """A store whose gate is open."""
    store.gate.set()
    return store


def test_many_followers_on_one_loop(open_store: GatedStore) -> None:
    """Fifty followers, some from the middle, each have every event once and in order."""
    total = 120

    async def main() -> None:
        async with AsyncBus(open_store, context=False) as bus:

            async def follow(after: int) -> list[int]:
                found = bus.follow(after=after, limit=total - after)
                return [event.position or 0 async for event in found]

            await bus.emit_many([{"type": "past"} for _ in range(20)])
            following = [asyncio.create_task(follow(n % 10)) for n in range(50)]
            await asyncio.gather(*(bus.emit("live") for _ in range(total - 20)))
            for n, task in enumerate(following):
                assert await task == list(range(n % 10 + 1, total + 1))

    run(main)


def test_another_process_wakes_followers(open_store: GatedStore) -> None:
    """Who follows sees what others emit, as soon as it is kept."""
    code = "import sys; from tidings import Bus; Bus(sys.argv[1]).emit('other')"

    async def main() -> None:
        async with AsyncBus(open_store, context=False) as bus:
            waits = [await start(bus.wait_for(types="other", after=0)) for _ in range(5)]
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, open_store.url)
            found = await asyncio.gather(*waits)
            assert [event and event.type for event in found] == ["other"] * 5
            assert await child.wait() == 0

    run(main)


def test_a_follower_ends_alone(open_store: GatedStore) -> None:
    """Cancelled or left, it takes no other one with it."""

    async def main() -> None:
        async with AsyncBus(open_store, context=False) as bus:

            async def collect(following: AsyncIterator[Event], into: list[str]) -> None:
                async for event in following:
                    into.append(event.type)  # noqa: PERF401 - one by one, as they come

            seen: list[str] = []
            first = await start(collect(bus.follow(), []))
            second = await start(collect(bus.follow(limit=2), seen))
            await bus.emit("a")
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            async for event in bus.follow():
                assert event.type == "a"
                break
            await bus.emit("b")
            await second
            assert seen == ["a", "b"]

    run(main)


def test_closing_ends_followers(open_store: GatedStore) -> None:
    """Those that wait end as if there were no more events."""

    async def main() -> None:
        bus = AsyncBus(open_store, context=False)
        await bus.emit("x")

        async def follow() -> list[str]:
            return [event.type async for event in bus.follow()]

        following = [await start(follow()) for _ in range(3)]
        waiting = await start(bus.wait_for(after=1))
        await bus.emit("y")
        await bus.close()
        for task in following:
            assert await task in (["x"], ["x", "y"], [])
        found = await waiting
        assert found is None or found.type == "y"

    run(main)


def test_the_same_verbs(open_store: GatedStore) -> None:
    """Reading, waiting, envelopes and types answer as those of a `Bus`."""

    async def main() -> None:
        async with AsyncBus(open_store) as bus:
            envelope = create_event(EventKind.UPDATED, {"text": "Alpha"})
            await bus.publish(envelope, subject="a/1", project="p")
            latest = await bus.latest("updated")
            assert latest is not None
            assert from_event(latest) == envelope
            await bus.emit_many([{"type": f"t.{n}"} for n in range(5)])
            assert [event.type for event in await bus.history(2)] == ["t.4", "t.3"]
            assert [event.type async for event in bus.read(types="t.*", limit=2)] == ["t.0", "t.1"]
            found = [event.type async for event in bus.follow(timeout=0, contains="alpha")]
            assert found == ["updated"]
            assert await bus.wait_for(types="never", timeout=0.01) is None
            await bus.register_type("measured", "A sample was measured.", ["id"])
            assert "measured" in await bus.list_types()
            assert (await bus.get_type_info("measured"))["payload_keys"] == ["id"]
            bus.store.prune(2)
            with pytest.raises(HistoryPruned):
                await anext(bus.follow(after=1))

    run(main)
