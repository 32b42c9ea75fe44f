"""A bare ASGI stream that coalesces: the least that sends the same bytes to many clients.

What is POSTed is one batch of frames, ready as bytes; every open GET is sent what it was not sent
yet as one chunk, joined once for all who stand at the same place. It keeps nothing, looks for no
disconnect, has no heartbeat and knows no filter, so a stream with all of these can hardly be
faster on the same server software.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from benchmarks.references.asgi import App, Receive, Scope, Send

_STREAM = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}
_TAKEN = {"type": "http.response.start", "status": 204, "headers": []}
_END = {"type": "http.response.body", "body": b""}


def app(_directory: str) -> App:
    """GET streams, POST publishes; at any path."""
    published = _Published()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await _stream(published, send)
        else:
            published.add(await _body(receive))
            await send(_TAKEN)
            await send(_END)

    return answer


class _Published:
    """All batches so far, and the event that wakes who waits for the next."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.more = asyncio.Event()
        self.joined = lru_cache(maxsize=16)(self._join)

    def add(self, batch: bytes) -> None:
        self.batches.append(batch)
        more, self.more = self.more, asyncio.Event()
        more.set()

    def _join(self, first: int, last: int) -> bytes:
        return b"".join(self.batches[first:last])


async def _stream(published: _Published, send: Send) -> None:
    await send(_STREAM)
    await send({"type": "http.response.body", "body": b": open\n\n", "more_body": True})
    sent = len(published.batches)
    while True:
        while sent == len(published.batches):
            await published.more.wait()
        due = len(published.batches)
        chunk = published.joined(sent, due)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        sent = due


async def _body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
