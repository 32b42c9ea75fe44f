"""What an administrator, or another client, does with a stream while a store is open."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import nats

from tests.engines.nats import wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nats.js import JetStreamContext

    from tests.engines.nats import NatsServer
    from tidings.store.replicated.log import Log

__all__ = ["administer", "close_beside_a_child", "flood", "stream_of"]


def administer(server_url: str, work: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
    """Do something with JetStream over a connection of its own; gives what came of it."""

    async def run() -> Any:
        client = await nats.connect(server_url)
        try:
            return await work(client.jetstream(timeout=30))
        finally:
            await client.close()

    return asyncio.run(run())


def flood(server_url: str, subject: str, count: int, size: int) -> None:
    """Put numbered messages into a stream, as fast as it takes them."""

    async def work(jetstream: JetStreamContext) -> None:
        filler = b"." * size
        for start in range(0, count, 2_000):
            numbers = range(start, min(start + 2_000, count))
            sent = [await jetstream.publish_async(subject, b"%d " % n + filler) for n in numbers]
            await asyncio.gather(*sent)

    administer(server_url, work)


def close_beside_a_child(open_log: Callable[[], Log], server: NatsServer) -> int:
    """Fork a child that lives on and close the log here; how many connections the server has."""
    log = open_log()
    log.identity()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)  # so that it ends with its parent, whatever becomes of that
        os.read(reader, 1)
        os._exit(0)
    log.close()
    try:
        wait_for(lambda: not server.asked("connz")["connections"], "an end of the connection")
        return len(server.asked("connz")["connections"])
    finally:
        os.write(writer, b".")
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def stream_of(url: str) -> tuple[str, str, str]:
    """A store's server, stream and subject, by its URL."""
    server, _, name = url.partition("?")[0].rpartition("/")
    return server, name, f"tidings.{name}.log"
