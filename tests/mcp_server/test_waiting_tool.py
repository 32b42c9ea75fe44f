"""wait_for_event: bounded, told of, cancellable, beside other calls, and with nothing missed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, KeyDoor, Tools, connected, text_of
from tidings.errors import StoreLocked
from tidings.mcp_server import waiting
from tidings.store.memory import MemoryStore


class AwayStore(MemoryStore):
    """A store that goes away as soon as somebody waits for it."""

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Be away."""
        raise StoreLocked(f"gone, {after=}, {timeout=}")


@pytest.mark.parametrize("mode", GENERATIONS)
def test_an_event_ends_the_wait_while_other_calls_go_on(mode: str) -> None:
    """While one call waits, others of the same client are answered; one of them ends the wait."""

    async def main() -> None:
        told: list[tuple[float, float | None, str | None]] = []
        waits = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))
            waits.set()

        async with connected(mode=mode) as tools:
            waiting_call = asyncio.create_task(
                tools.client.call_tool(
                    "wait_for_event",
                    {"types": "job_*", "status": "failure", "timeout_seconds": 300},
                    progress_callback=hear,
                )
            )
            await waits.wait()
            assert told == [(told[0][0], 300, "no match up to position 0")]
            assert (await tools.call("history"))["events"] == []
            await tools.call("emit", type="job_done", status="success")
            kept = await tools.call("emit", type="job_failed")
            result = await waiting_call
            assert result.structured_content is not None
            answer = result.structured_content
            assert (answer["found"], answer["position"]) == (True, kept["position"])
            assert answer["event"]["id"] == kept["event_id"]

    run(main())


def test_nothing_is_missed_between_two_waits() -> None:
    """Who passes the position of the last answer is given what came meanwhile, one by one."""

    async def main() -> None:
        async with connected() as tools:
            own = await tools.call("emit", type="asked")
            await tools.call("emit", type="answered", payload={"n": 1})
            await tools.call("emit", type="noise")
            await tools.call("emit", type="answered", payload={"n": 2})
            seen = []
            after = own["position"]
            while True:
                answer = await tools.call(
                    "wait_for_event", types="answered", after=after, timeout_seconds=0
                )
                after = answer["position"]
                if not answer["found"]:
                    break
                seen.append(answer["event"]["payload"]["n"])
            assert seen == [1, 2]
            assert after == 4
            assert answer["message"] == (
                "no event came that matches; call again with after=4 to go on waiting"
            )
            new_only = await tools.call("wait_for_event", types="answered", timeout_seconds=0)
            assert new_only["found"] is False

    run(main())


def test_the_client_hears_that_it_still_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give up on what is silent, so the time that passed is told again and again."""
    monkeypatch.setattr(waiting, "_NEWS_SECONDS", 0.01)

    async def main() -> None:
        told: list[float] = []
        enough = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            assert (total, message) == (300, "no match up to position 0")
            told.append(progress)
            if len(told) == 3:
                enough.set()

        async with connected() as tools:
            waiting_call = asyncio.create_task(
                tools.client.call_tool(
                    "wait_for_event", {"timeout_seconds": 300}, progress_callback=hear
                )
            )
            await enough.wait()
            await tools.call("emit", type="done")
            assert not (await waiting_call).is_error
            assert told == sorted(set(told))

    run(main())


@pytest.mark.parametrize("mode", GENERATIONS)
def test_a_wait_that_is_cancelled_leaves_nothing_behind(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that gives up is let go of at once, and goes on with other calls."""

    async def main() -> None:
        waits, ended = asyncio.Event(), asyncio.Event()
        leave = waiting.Waits._leave

        def left(waits: waiting.Waits, waiter: Any) -> None:
            leave(waits, waiter)
            assert waits._follower is None
            ended.set()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            assert (progress < 300, total, message) == (True, 300, "no match up to position 0")
            waits.set()

        monkeypatch.setattr(waiting.Waits, "_leave", left)
        async with connected(mode=mode) as tools:
            waiting_call = asyncio.create_task(
                tools.client.call_tool(
                    "wait_for_event", {"timeout_seconds": 300}, progress_callback=hear
                )
            )
            await waits.wait()
            waiting_call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting_call
            await ended.wait()
            await tools.call("emit", type="done")

    run(main())


class Waiting:
    """A call of wait_for_event that goes on, and is known to wait.

    Args:
        tools: the client that calls.
        arguments: of the call.
    """

    def __init__(self, tools: Tools, **arguments: Any) -> None:
        self._waits = asyncio.Event()
        self._call = asyncio.create_task(
            tools.client.call_tool(
                "wait_for_event", {"timeout_seconds": 300, **arguments}, progress_callback=self.hear
            )
        )

    async def hear(self, progress: float, total: float | None, message: str | None) -> None:
        """Note that it waits."""
        assert progress < (total or 0), message
        self._waits.set()

    async def begun(self) -> Waiting:
        """Itself, once it waits."""
        await self._waits.wait()
        return self

    async def answer(self) -> dict[str, Any]:
        """What it gives in the end, or what it says went wrong."""
        result = await self._call
        if result.is_error:
            return {"error": text_of(result)}
        assert result.structured_content is not None
        return dict(result.structured_content)


def test_many_wait_and_each_gets_its_own() -> None:
    """What is new is read once for all who wait; each is given the first event that it wants."""

    async def main() -> None:
        async with connected() as tools:
            calls = [await Waiting(tools, types=f"job_{n}").begun() for n in range(20)]
            late = await Waiting(tools, types="job_*", after=0).begun()
            kept = await tools.bus.emit_many(
                [{"type": f"job_{n % 20}", "payload": {"n": n}} for n in range(40)]
            )
            for number, call in enumerate(calls):
                answer = await call.answer()
                assert answer["event"]["payload"] == {"n": number}
                assert answer["position"] == kept[number].position
            assert (await late.answer())["event"]["payload"] == {"n": 0}

    run(main())


def test_nobody_waits_longer_than_the_server_lives() -> None:
    """When the server is about to end, who waits is told at once where to go on."""

    async def main() -> None:
        async with connected() as tools:
            await tools.call("emit", type="noise")
            call = await Waiting(tools).begun()
            tools.server.drain()
            answer = await call.answer()
            assert (answer["found"], answer["position"]) == (False, 1)
            assert answer["message"] == (
                "this server is stopping; call again with after=1 when it is back"
            )
            late = await tools.call("wait_for_event", timeout_seconds=300)
            assert "this server is stopping" in late["message"]

    run(main())


def test_nobody_waits_longer_than_their_key_counts() -> None:
    """A key that counts no more is given no event, though it waited for one since before."""

    async def main() -> None:
        door = KeyDoor("read")
        async with connected(door=door) as tools:
            call = await Waiting(tools).begun()
            door.counts = False
            await tools.bus.emit("secret")
            answer = await call.answer()
            assert "your key does not count any more" in answer["error"]
            assert "secret" not in answer["error"]

    run(main())


def test_who_waits_takes_a_place() -> None:
    """Where there is no place left, a call is refused at once, and others go on."""

    async def main() -> None:
        door = KeyDoor("read")
        door.places = 1
        async with connected(door=door) as tools:
            call = await Waiting(tools).begun()
            assert "too many wait already" in await tools.refusal("wait_for_event")
            await tools.bus.emit("done")
            assert (await call.answer())["found"] is True

    run(main())


def test_a_position_of_another_store_is_noticed() -> None:
    """Who waits past a position that is not there yet is told, and given nothing from before it."""

    async def main() -> None:
        async with connected() as tools:
            await tools.call("emit", type="x")
            answer = await tools.call("wait_for_event", after=1_000, timeout_seconds=0)
            assert answer["message"] == (
                "position 1000 is ahead of the newest event, 1; leave after out to wait for new "
                "events"
            )
            call = await Waiting(tools, after=3).begun()
            for _ in range(3):
                await tools.call("emit", type="x")
            assert (await call.answer())["position"] == 4

    run(main())


def test_a_store_that_goes_away_says_where_to_go_on() -> None:
    """The wait ends with an error that names the position, so that nothing is missed later."""

    async def main() -> None:
        async with connected(AwayStore()) as tools:
            for _ in range(3):
                await tools.call("emit", type="noise")
            result = await tools.client.call_tool(
                "wait_for_event", {"types": "done", "after": 1, "timeout_seconds": 300}
            )
            assert result.is_error
            assert "went away while waiting (StoreLocked)" in text_of(result)
            assert "call again with after=3" in text_of(result)

    run(main())
