"""Serving over stdio: the standard output is the protocol's alone.

It ends at the end of the input, once what was asked before is answered, and at SIGTERM and SIGINT
at once, also while nobody writes or reads on the other side: the SDK's own transport waits there
for good. Whatever else in this process prints goes to the standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager, suppress
from json import dumps, loads
from queue import SimpleQueue
from threading import Thread
from typing import Any

from mcp.server.stdio import stdio_server

from tidings.mcp_server.making import LazyBus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from tidings.mcp_server.making import Server

__all__ = ["run_stdio"]

_LAST_SECONDS = 30.0
"""So long what was asked may still be answered after the end of the input. Who leaves in a hurry
says so by a signal."""

_CLOSING_SECONDS = 5.0
"""So long the end may take; a store that hangs is left."""

_CHUNK = 64 * 1024


def run_stdio(
    server: Server, beside: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Serve the client at the standard input and output, until it leaves or a signal comes.

    Args:
        server: what is served; it is closed at the end, and its bus if that is a `LazyBus`.
        beside: run while it serves, and cancelled at the end.

    Raises:
        KeyboardInterrupt: it was ended by Ctrl-C (SIGINT).
    """
    # Not `asyncio.run`: that waits for every thread, and one may read a store that hangs.
    loop = asyncio.new_event_loop()
    try:
        with _claimed() as (source, target):
            ended_by = loop.run_until_complete(_serve(server, beside, source, target))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    if ended_by == signal.SIGINT:
        raise KeyboardInterrupt


async def _serve(
    server: Server,
    beside: Callable[[], Coroutine[Any, Any, None]] | None,
    source: int,
    target: int,
) -> int:
    """Serve; gives the signal that ended it, else 0."""
    speaking = asyncio.create_task(_speak(server, source, target))
    others = [asyncio.create_task(beside())] if beside is not None else []
    with _signals() as signalled:
        either: list[asyncio.Future[Any]] = [speaking, signalled]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for task in (speaking, *others):
            task.cancel()
        await asyncio.wait([speaking, *others], timeout=_CLOSING_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(_close(server), _CLOSING_SECONDS)
    failure = None if not speaking.done() or speaking.cancelled() else speaking.exception()
    if signalled.done():
        return signalled.result()  # What broke because it was cut off is nobody's concern.
    if failure is not None:
        raise failure
    return 0


async def _speak(server: Server, source: int, target: int) -> None:
    """Speak with the client until it has left."""
    asked = _Asked()
    # Not files, but they have what the SDK uses of those.
    source_file: Any = _Input(source, asked, server.drain)
    target_file: Any = _Output(target, asked)
    try:
        async with stdio_server(source_file, target_file) as (reading, writing):
            options = server.lowlevel.create_initialization_options()
            await server.lowlevel.run(reading, writing, options)
    except BaseExceptionGroup as errors:
        nobody_reads = errors.subgroup(OSError)
        if nobody_reads is None:
            raise


async def _close(server: Server) -> None:
    await server.close()
    if isinstance(server.ground.bus, LazyBus):
        await server.ground.bus.close()


@contextmanager
def _claimed() -> Iterator[tuple[int, int]]:
    """Descriptors of the client's, in place of the standard ones, where others might disturb it.

    Meanwhile who reads the standard input finds it at its end, and what is printed goes to the
    standard error.
    """
    sys.stdout.flush()
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(nothing, 1)  # There is no standard error.
    os.close(nothing)
    os.set_blocking(source, True)
    os.set_blocking(target, True)
    try:
        yield source, target
    finally:
        # The copies stay open: a thread may still wait at them.
        sys.stdout.flush()
        os.dup2(source, 0)
        os.dup2(target, 1)


@contextmanager
def _signals() -> Iterator[asyncio.Future[int]]:
    """What is settled with the number of the first signal that asks for the end."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[int] = loop.create_future()

    def hear(number: int) -> None:
        if not came.done():
            came.set_result(number)

    heard = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in heard:
            loop.add_signal_handler(number, hear, number)
    except (NotImplementedError, ValueError, RuntimeError):
        pass  # Not the main thread, or a system that has none; the end of the input ends it too.
    try:
        yield came
    finally:
        with suppress(NotImplementedError, ValueError, RuntimeError):
            for number in heard:
                loop.remove_signal_handler(number)


class _Asked:
    """The requests that are not answered yet."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._none = asyncio.Event()
        self._none.set()

    def read(self, line: str) -> None:
        """Note what the client sent."""
        message = _message(line)
        method = message.get("method")
        if method == "notifications/cancelled":
            params = message.get("params")
            self._settled(params.get("requestId") if isinstance(params, dict) else None)
        elif _is_answered(message):
            self._open.add(dumps(message["id"]))
            self._none.clear()

    def written(self, line: str) -> None:
        """Note what the client was sent."""
        message = _message(line)
        if "method" not in message:
            self._settled(message.get("id"))

    def _settled(self, request_id: object) -> None:
        self._open.discard(dumps(request_id))
        if not self._open:
            self._none.set()

    async def settle(self) -> None:
        """Wait until all is answered, but not for long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), _LAST_SECONDS)


def _is_answered(message: dict[str, Any]) -> bool:
    """Whether the SDK answers a message; a listener's request is not waited for."""
    method = message.get("method")
    return (
        message.get("jsonrpc") == "2.0"
        and type(message.get("id")) in (str, int)
        and isinstance(method, str)
        and method != "subscriptions/listen"
    )


def _message(line: str) -> dict[str, Any]:
    try:
        message = loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


class _Input:
    """The client's lines, read by a thread that nobody waits for at the end.

    Args:
        descriptor: where they come from.
        asked: told of each.
        drain: called at their end, so that nobody waits for events any more.
    """

    def __init__(self, descriptor: int, asked: _Asked, drain: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._asked = asked
        self._drain = drain
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[list[bytes] | None] = asyncio.Queue(1)
        Thread(target=self._read, name="tidings-stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (lines := await self._lines.get()) is not None:
            for line in filter(bytes.strip, lines):
                text = line.decode("utf-8", "replace")
                self._asked.read(text)
                yield text
        self._drain()
        await self._asked.settle()

    def _read(self) -> None:
        parts: list[bytes] = []  # of a line whose end did not come yet
        with suppress(OSError):
            while chunk := os.read(self._descriptor, _CHUNK):
                first, *others = chunk.split(b"\n")
                parts.append(first)
                if others:
                    *whole, rest = others
                    self._hand_over([b"".join(parts), *whole])
                    parts = [rest]
        self._hand_over([b"".join(parts)])
        self._hand_over(None)

    def _hand_over(self, lines: list[bytes] | None) -> None:
        with suppress(RuntimeError):  # The loop is closed, and nobody reads any more.
            asyncio.run_coroutine_threadsafe(self._lines.put(lines), self._loop).result()


class _Output:
    """What goes to the client, written by a thread that nobody waits for at the end."""

    def __init__(self, descriptor: int, asked: _Asked) -> None:
        self._descriptor = descriptor
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()
        Thread(target=self._write_all, name="tidings-stdout", daemon=True).start()

    async def write(self, text: str) -> None:
        """Write, and wait until it is written."""
        written: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((text.encode(), written))
        await written
        self._asked.written(text)

    async def flush(self) -> None:
        """Nothing is held back."""

    def _write_all(self) -> None:
        while True:
            data, written = self._jobs.get()
            error: OSError | None = None
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(self._descriptor, left) :]
            except OSError as failure:
                error = failure
            try:
                self._loop.call_soon_threadsafe(_settle, written, error)
            except RuntimeError:
                return  # The loop is closed.


def _settle(written: asyncio.Future[None], error: OSError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
