"""`Bus.follow` and `wait_for`: past, then live; nothing is missed, nothing comes twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from tidings.bus import Bus
from tidings.errors import HistoryPruned, InvalidQuery, StoreClosed
from tidings.event import Event
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.store.query import Filter
from tidings.testing.elsewhere import PATIENCE, WRITERS, in_processes, write_much

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EACH = 100

FOLLOW_UNTIL_CTRL_C = """
import signal, sys
from tidings.bus import Bus
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have us ignore it
with Bus(sys.argv[1]) as bus:
    try:
        for event in bus.follow():
            print(event.type, flush=True)
    except KeyboardInterrupt:
        print("interrupted, kept at", bus.emit("after").position)
"""


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


@pytest.fixture
def bus(url: str) -> Iterator[Bus]:
    """A bus on that store."""
    with Bus(url) as opened:
        yield opened


def followed(bus: Bus, **arguments: Any) -> list[str]:
    """The types of the events that are there already."""
    return [event.type for event in bus.follow(timeout=0, **arguments)]


def until_one_waits(bus: Bus) -> None:
    """Let other threads run until one of them has read everything and waits."""
    end = monotonic() + PATIENCE
    while not bus.store._waker._waiting:  # type: ignore[attr-defined]  # it is SQLite's
        assert monotonic() < end, "nobody waits"
        sleep(0.005)


class TestWhatIsFollowed:
    """Which events a follower is given."""

    def test_past_in_order(self, bus: Bus) -> None:
        """From the beginning, or past a position; none ahead of it."""
        bus.emit_many([Event(f"e{number}") for number in range(300)])
        assert followed(bus) == [f"e{number}" for number in range(300)]
        assert followed(bus, after=298) == ["e298", "e299"]
        assert followed(bus, after=300) == followed(bus, after=10**6) == []

    def test_past_then_live(self, bus: Bus, url: str) -> None:
        """What another bus emits meanwhile follows what was there, one by one."""
        bus.emit_many([Event("x", payload={"n": number}) for number in range(10)])
        seen = []
        with Bus(url) as other:
            for event in bus.follow(limit=40):
                seen.append(event.payload["n"])
                if event.payload["n"] >= 9:
                    other.emit("x", payload={"n": event.payload["n"] + 1})
        assert seen == list(range(40))

    def test_our_own_types_only_when_asked_for(self, bus: Bus) -> None:
        """`tidings.*` is left out, beside what else is excluded, unless `types` names it."""
        bus.emit_many([Event(name) for name in ("a", "tidings.notice", "b", "tidingsx", "c")])
        assert followed(bus) == ["a", "b", "tidingsx", "c"]
        assert followed(bus, types="*") == ["a", "b", "tidingsx", "c"]
        assert followed(bus, exclude=Filter(types=["b"])) == ["a", "tidingsx", "c"]
        assert followed(bus, exclude=Filter(project="p", types="tid*")) == ["a", "b", "c"]
        assert followed(bus, types="tidings.*") == ["tidings.notice"]
        assert followed(bus, types=["a", "tidings.notice"]) == ["a", "tidings.notice"]

    def test_every_filter(self, bus: Bus) -> None:
        """As for reading."""
        bus.emit_many(
            [Event(f"e{n}", str(n % 2), payload={"k": n % 3}, user_id="u") for n in range(12)]
        )
        assert followed(bus, project="1", payload={"k": 0}, user_id="u") == ["e3", "e9"]
        assert followed(bus, project="1", exclude=Filter(payload={"k": 1})) == [
            *("e3", "e5", "e9", "e11")
        ]

    def test_text_is_followed_in_order(self, bus: Bus) -> None:
        """`contains` gives the oldest first here, past and live, not the newest as in a read."""
        bus.emit_many([Event(f"e{n}", payload={"text": "yes" * (n % 2)}) for n in range(200)])
        assert followed(bus, contains="YES") == [f"e{n}" for n in range(1, 200, 2)]
        following = bus.follow(contains="yes", after=190, limit=6)
        assert [next(following).type for _ in range(5)] == [f"e{n}" for n in range(191, 200, 2)]
        bus.emit_many([Event("no"), Event("live", payload="yes")])
        assert [event.type for event in following] == ["live"]

    def test_filters_that_make_no_sense(self, bus: Bus) -> None:
        """Are told with the first event."""
        with pytest.raises(InvalidQuery, match="colour"):
            next(bus.follow(colour="red"))

    def test_what_was_pruned_is_told(self, bus: Bus) -> None:
        """A follower that would miss events hears of it; one from the start begins at what is."""
        bus.emit_many([Event(f"e{n}") for n in range(5)])
        bus.store.prune(3)
        with pytest.raises(HistoryPruned) as told:
            followed(bus, after=1)
        assert (told.value.asked, told.value.first) == (1, 4)
        assert followed(bus) == ["e3", "e4"]


class TestItsEnd:
    """When following ends."""

    def test_at_a_limit(self, bus: Bus) -> None:
        """After so many, without waiting for one more."""
        bus.emit_many([Event("x") for _ in range(5)])
        assert len(list(bus.follow(limit=3))) == 3
        assert list(bus.follow(limit=0)) == []

    def test_at_a_position(self, bus: Bus) -> None:
        """`before` ends it, also where that position is kept only later."""
        bus.emit_many([Event(f"e{n}") for n in range(5)])
        assert [event.type for event in bus.follow(before=3)] == ["e0", "e1"]
        following = bus.follow(before=7, after=4)
        assert next(following).type == "e4"
        bus.emit_many([Event("x"), Event("y")])
        assert [event.type for event in following] == ["x"]
        assert list(bus.follow(before=0)) == list(bus.follow(before=1)) == []

    def test_when_none_came_for_so_long(self, bus: Bus) -> None:
        """After a timeout, with what was there."""
        bus.emit("x")
        assert [event.type for event in bus.follow(timeout=0.01)] == ["x"]

    def test_unwanted_events_do_not_put_it_off(self) -> None:
        """A timeout holds beside writers that never rest."""
        with Bus(BusyStore()) as bus:
            assert list(bus.follow(types="wanted", timeout=0.01)) == []

    def test_when_the_bus_is_closed(self, bus: Bus) -> None:
        """Followers in other threads come to an end, without an error."""
        came: SimpleQueue[str] = SimpleQueue()

        def follow() -> str:
            for event in bus.follow():
                came.put(event.type)
            return "ended"

        bus.emit("x")
        with ThreadPoolExecutor(5) as pool:
            following = [pool.submit(follow) for _ in range(5)]
            assert [came.get(timeout=PATIENCE) for _ in following] == ["x"] * 5
            bus.close()
            assert [future.result(PATIENCE) for future in following] == ["ended"] * 5

    def test_when_the_store_is_closed_by_others(self, bus: Bus) -> None:
        """Is an error: the follower did not ask for it."""
        bus.emit("x")
        following = bus.follow()
        next(following)
        bus.store.close()
        with pytest.raises(StoreClosed):
            next(following)

    def test_ctrl_c(self, bus: Bus, url: str) -> None:
        """Ends it at once with KeyboardInterrupt, and the bus can be used on."""
        bus.emit("first")
        command = [sys.executable, "-W", "error", "-c", FOLLOW_UNTIL_CTRL_C, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"first\n"
            os.kill(child.pid, signal.SIGINT)
            try:
                stdout, stderr = child.communicate(timeout=PATIENCE)
            finally:
                child.kill()
        assert (child.returncode, stderr) == (0, b"")
        assert stdout == b"interrupted, kept at 2\n"


def test_beside_writing_processes(bus: Bus, url: str) -> None:
    """A follower beside eight of them sees every event once, in order, as it comes."""
    opener = partial(open_store, url, deadline=PATIENCE)
    parts = [(write_much, opener, writer, EACH) for writer in range(WRITERS)]

    def follow() -> list[Event]:
        return list(bus.follow(types="race", limit=WRITERS * EACH, timeout=PATIENCE))

    *written, seen = in_processes(parts, beside=follow)
    assert [event.position for event in seen] == list(range(1, WRITERS * EACH + 1))
    for writer, ids in enumerate(written):
        assert [event.id for event in seen if event.payload["writer"] == writer] == ids


class TestWaitFor:
    """`wait_for` gives the first event that fits."""

    def test_from_a_position(self, bus: Bus) -> None:
        """One that is there already comes at once."""
        first, second = bus.emit("a"), bus.emit("b")
        assert bus.wait_for(after=0) == first
        assert bus.wait_for(after=0, types="b") == second
        assert bus.wait_for(after=1) == second

    def test_new_ones_only(self, bus: Bus, url: str) -> None:
        """Without a position what was there does not count, and what comes does."""
        bus.emit("x", payload={"n": 0})
        assert bus.wait_for(types="x", timeout=0) is None
        with ThreadPoolExecutor(1) as pool, Bus(url) as other:
            waiting = pool.submit(bus.wait_for, types="x", payload={"n": 1}, timeout=PATIENCE)
            while not waiting.done():
                other.emit_many([Event("x", payload={"n": 2}), Event("x", payload={"n": 1})])
            event = waiting.result(PATIENCE)
        assert event is not None
        assert event.payload == {"n": 1}
        assert (event.position or 0) > 1

    def test_nothing_when_time_is_up(self, bus: Bus) -> None:
        """None tells that nothing fitted in time."""
        bus.emit("x")
        assert bus.wait_for(after=0, types="y", timeout=0.01) is None

    def test_nothing_when_the_bus_closes(self, bus: Bus) -> None:
        """Who waits in another thread comes to an end, too."""
        for _ in bus.follow(timeout=0):
            pass
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(bus.wait_for, after=0, timeout=PATIENCE)
            until_one_waits(bus)
            bus.close()
            assert waiting.result(PATIENCE) is None
