"""Whether `stream_events` gives each event once, also where the line breaks or the server ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from eventuali_mcp_server import EventAPIClient, StreamEventItem
from tests.remote.broken_line import BrokenLine
from tests.server.conftest import PATIENCE, Server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


class Streaming:
    """A client that reads a stream in a task of its own.

    Attributes:
        items: what it got so far.
        task: ends when the stream does.
    """

    def __init__(self, url: str) -> None:
        self.items: list[StreamEventItem] = []
        self._came = asyncio.Condition()
        self.task = asyncio.create_task(self._read(url))

    async def _read(self, url: str) -> None:
        async with EventAPIClient(url) as client:
            async for item in client.stream_events():
                async with self._came:
                    self.items.append(item)
                    self._came.notify_all()

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait for what makes it enough."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(enough)

    async def stop(self) -> None:
        """Read no longer."""
        self.task.cancel()
        await asyncio.wait([self.task])

    def names(self) -> list[str]:
        """The types of the events it got."""
        return [item.data["event_name"] for item in self.items if item.event == "event_created"]


async def begun(streaming: Streaming, client: EventAPIClient) -> None:
    """Emit until the stream gives something: from then on it misses nothing."""
    async with asyncio.timeout(PATIENCE):
        while not streaming.items:
            await client.emit_event("agent.stream.began")
            await asyncio.sleep(0)


def test_events_come_as_they_are_emitted(served: Server) -> None:
    """Each as `event_created`, with the event as data and its id."""

    async def use() -> None:
        async with EventAPIClient(served.url) as client:
            streaming = Streaming(served.url)
            await begun(streaming, client)
            told = await client.emit_event("agent.one.done", {"n": 1}, "one")
            await streaming.until(lambda: "agent.one.done" in streaming.names())
            (item,) = [i for i in streaming.items if i.data["event_name"] == "agent.one.done"]
            assert (item.event, item.id) == ("event_created", told.event_id)
            assert item.data["attributes"] == {"n": 1}
            assert item.data["agent_id"] == "one"
            await streaming.stop()

    asyncio.run(use())


def test_a_broken_line_loses_and_repeats_nothing(served: Server) -> None:
    """What is emitted while the line is cut comes once it is whole again, each event once."""

    async def use(line: BrokenLine) -> None:
        async with EventAPIClient(served.url) as client:
            streaming = Streaming(line.url)
            await begun(streaming, client)
            wanted = [f"agent.broken.{n}" for n in range(3)]
            line.answers_to_swallow = 1
            await client.emit_event(wanted[0])
            async with asyncio.timeout(PATIENCE):
                while line.answers_to_swallow:  # noqa: ASYNC110 - threads of its own pass it on
                    await asyncio.sleep(0.01)
            for name in wanted[1:]:
                await client.emit_event(name)
            await streaming.until(lambda: wanted[-1] in streaming.names())
            assert [name for name in streaming.names() if "broken" in name] == wanted
            assert line.connections > 1
            await streaming.stop()

    line = BrokenLine(served.port)
    try:
        asyncio.run(use(line))
    finally:
        line.close()


def test_a_server_that_starts_anew_is_found_again(served: Server) -> None:
    """A server that was killed costs its streams nothing."""

    async def use() -> None:
        async with EventAPIClient(served.url) as client:
            streaming = Streaming(served.url)
            await begun(streaming, client)
            await asyncio.to_thread(served.restart)
            await client.emit_event("agent.after.restart")
            await streaming.until(lambda: "agent.after.restart" in streaming.names())
            await streaming.stop()

    asyncio.run(use())


# What other servers send ------------------------------------------------------------------------


class Bytes(httpx.AsyncByteStream):
    """The body of an answer, and what breaks it off at its end, if anything."""

    def __init__(self, body: bytes, error: Exception | None = None) -> None:
        self._body = body
        self._error = error

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        yield self._body
        if self._error is not None:
            raise self._error


def streamed(*answers: httpx.Response) -> list[StreamEventItem]:
    """What the stream gives where a server answers so, one answer for each time it is asked."""
    left = list(answers)

    async def read() -> list[StreamEventItem]:
        async with EventAPIClient() as client:
            client._opened()._transport = httpx.MockTransport(lambda _: left.pop(0))
            return [item async for item in client.stream_events()]

    return asyncio.run(read())


def answer(body: bytes, **options: Any) -> httpx.Response:
    """A stream."""
    return httpx.Response(200, stream=Bytes(body, **options))


def test_a_stream_without_ids_ends_with_its_connection() -> None:
    """Of a server that names no position, nobody can say where to go on, so it is not tried."""
    assert [item.data for item in streamed(answer(b'data: {"n": 1}\n\n'))] == [{"n": 1}]
    broken = answer(b'data: {"n": 1}\n\n', error=httpx.ReadError("reset"))
    with pytest.raises(httpx.ReadError):
        streamed(broken)


def test_what_is_no_event_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """The original's own frames hold no JSON; neither these nor lists end the stream."""
    body = b"data: {'event_id': 'e1'}\n\ndata: [1]\n\nevent: odd\ndata: {}\n\n"
    assert streamed(answer(body)) == [StreamEventItem(event="odd", data={}, id=None)]
    assert caplog.text.count("passed over") == 2


def test_a_refusal_after_a_loss_is_told() -> None:
    """Who may not come back is told so, instead of waiting for ever."""
    with pytest.raises(httpx.HTTPStatusError) as caught:
        streamed(answer(b"retry: 100\nid: 7\n\n"), httpx.Response(401))
    assert caught.value.response.status_code == 401
