"""`AsyncBus.follow` and `wait_for`: nothing is missed, and whoever leaves leaves nothing behind."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.bus.loops import run
from tidings.aio import AsyncBus
from tidings.errors import InvalidQuery, StoreClosed
from tidings.event import Event
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.store.query import Filter
from tidings.testing.elsewhere import PATIENCE, WRITERS, in_processes, write_much

if TYPE_CHECKING:
    from pathlib import Path

EACH = 100


class BusyStore(MemoryStore):
    """A store into which somebody writes whenever a follower begins to wait."""

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Write, then wait."""
        self.append([Event("unwanted")])
        return super().wait(after, timeout)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a new SQLite store."""
    return f"sqlite:///{tmp_path}/events.db?durability=process"


async def followed(bus: AsyncBus, **arguments: Any) -> list[str]:
    """The types of the events that a follower is given until it ends."""
    return [event.type async for event in bus.follow(**arguments)]


async def until_one_waits(bus: AsyncBus) -> None:
    """Let other tasks run until a follower has read everything and waits."""
    while not bus._watch._waiting:  # noqa: ASYNC110 - a bus tells nobody that someone waits
        await asyncio.sleep(0)


def test_what_is_followed(url: str) -> None:
    """The same events as by `Bus.follow`: filters, text in order, our own types only if asked."""

    async def main() -> None:
        async with AsyncBus(url) as bus:
            await bus.emit_many(
                [Event(f"e{n}", str(n % 2), payload="yes" * (n % 3 == 0)) for n in range(200)]
            )
            await bus.emit_many([Event("tidings.notice")])
            everything = partial(followed, bus, timeout=0)
            assert await everything() == [f"e{n}" for n in range(200)]
            assert await everything(after=198) == ["e198", "e199"]
            assert await everything(after=190, project="1", exclude=Filter(types="e191")) == [
                *("e193", "e195", "e197", "e199")
            ]
            assert await everything(contains="YES") == [f"e{n}" for n in range(0, 200, 3)]
            assert await everything(types="tidings.*") == ["tidings.notice"]
            assert await everything(before=3) == await followed(bus, before=3) == ["e0", "e1"]
            assert await everything(limit=2) == await followed(bus, limit=2) == ["e0", "e1"]
            assert await followed(bus, limit=0) == await followed(bus, before=1) == []
            with pytest.raises(InvalidQuery, match="colour"):
                await everything(colour="red")

    run(main())


def test_beside_an_emitting_task(url: str) -> None:
    """A follower in one task sees all that another one emits, one by one and in order."""
    total = 300

    async def main() -> None:
        async with AsyncBus(url, context=False) as bus:
            following = asyncio.create_task(followed(bus, limit=total))
            for number in range(total):
                await bus.emit(f"e{number}")
            assert await following == [f"e{number}" for number in range(total)]

    run(main())


def test_beside_writing_processes(url: str) -> None:
    """Two followers beside eight of them see every event once, in order, as it comes."""
    opener = partial(open_store, url, deadline=PATIENCE)
    parts = [(write_much, opener, writer, EACH) for writer in range(WRITERS)]

    async def follow(bus: AsyncBus) -> list[Event]:
        return [event async for event in bus.follow(types="race", limit=WRITERS * EACH)]

    async def main() -> list[list[Event]]:
        async with AsyncBus(url) as bus:
            return list(await asyncio.gather(follow(bus), follow(bus)))

    *written, (one, other) = in_processes(parts, beside=lambda: run(main()))
    assert one == other
    assert [event.position for event in one] == list(range(1, WRITERS * EACH + 1))
    for writer, ids in enumerate(written):
        assert [event.id for event in one if event.payload["writer"] == writer] == ids


def test_a_follower_ahead_of_all_disturbs_nobody(url: str) -> None:
    """One that waits for a position far off neither ends nor keeps others from their events."""

    async def main() -> None:
        async with AsyncBus(url, context=False) as bus:
            ahead = asyncio.create_task(followed(bus, after=10**6))
            await until_one_waits(bus)
            following = [asyncio.create_task(followed(bus, limit=50)) for _ in range(3)]
            for number in range(50):
                await bus.emit(f"e{number}")
            for task in following:
                assert await task == [f"e{number}" for number in range(50)]
            assert not ahead.done()
        assert await ahead == []

    run(main())


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_unwanted_events_do_not_put_a_timeout_off(seconds: float) -> None:
    """It holds beside writers that never rest."""

    async def main() -> None:
        async with AsyncBus(BusyStore()) as bus:
            assert await followed(bus, types="wanted", timeout=seconds) == []
            assert await bus.wait_for(types="wanted", timeout=seconds) is None

    run(main())


class TestLeaving:
    """A follower may leave at any moment."""

    def test_by_break(self, url: str) -> None:
        """From `follow` and from `read`, with pages left and with none; nothing is left over."""

        async def main() -> None:
            async with AsyncBus(url, context=False) as bus:
                await bus.emit_many([Event("x") for _ in range(500)])
                for make in (bus.follow, bus.read):
                    async for _ in make():
                        break
                async for event in bus.follow(after=499):
                    assert event.position == 500
                    break
                assert bus._watch._waiting == {}
                assert bus.store._connections._borrowed == 0  # type: ignore[attr-defined]

        run(main())

    def test_by_the_end_of_the_loop(self, url: str) -> None:
        """Where the loop ends while a follower is in the middle, it is tidied up silently."""

        async def main(bus: AsyncBus) -> None:
            await bus.emit_many([Event("x") for _ in range(500)])
            async for _ in bus.follow():
                break
            waiting = asyncio.create_task(followed(bus))
            await until_one_waits(bus)
            assert not waiting.done()

        bus = AsyncBus(url, context=False)
        run(main(bus))
        assert bus._watch._waiting == {}
        run(bus.close())

    def test_by_cancelling(self, url: str) -> None:
        """Also when an event comes in the same moment; the bus goes on."""

        async def main() -> None:
            async with AsyncBus(url, context=False) as bus:
                task = asyncio.create_task(followed(bus, timeout=PATIENCE / 2))
                await until_one_waits(bus)
                (waiting,) = bus._watch._waiting
                waiting.set_result(1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert bus._watch._waiting == {}
                await bus.emit("x")
                assert await followed(bus, limit=1) == ["x"]

        run(main())

    def test_when_the_store_is_closed_by_others(self, url: str) -> None:
        """Is an error for those who wait: they did not ask for it."""

        async def main() -> None:
            bus = AsyncBus(url, context=False)
            tasks = [asyncio.create_task(followed(bus)) for _ in range(3)]
            await until_one_waits(bus)
            bus.store.close()
            for task in tasks:
                with pytest.raises(StoreClosed):
                    await task
            await bus.close()

        run(main())


class TestWaitFor:
    """`wait_for` gives the first event that fits."""

    def test_from_a_position(self, url: str) -> None:
        """One that is there already comes at once."""

        async def main() -> None:
            async with AsyncBus(url, context=False) as bus:
                first, second = await bus.emit("a"), await bus.emit("b")
                assert await bus.wait_for(after=0) == first
                assert await bus.wait_for(after=0, types="b") == second
                assert await bus.wait_for(after=1) == second

        run(main())

    def test_new_ones_only(self, url: str) -> None:
        """Without a position, what was there does not count."""

        async def main() -> None:
            async with AsyncBus(url, context=False) as bus:
                await bus.emit("x")
                assert await bus.wait_for(types="x", timeout=0.01) is None
                waiting = asyncio.create_task(bus.wait_for(types="x"))
                await until_one_waits(bus)
                await bus.emit("y")
                event = await bus.emit("x")
                assert await waiting == event

        run(main())
