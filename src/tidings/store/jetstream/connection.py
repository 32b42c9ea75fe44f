"""One connection to any of the servers, made again when it is lost, and questions over it.

nats-py can connect again by itself, but then sends later what was long given up, keeps a call
waiting that nobody will answer, and may end without a word. So a connection here lives once: when
its reader ends, for whatever reason, it is lost, who waits is told at once, and another is made.

Everything here runs in the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import deque
from contextlib import suppress
from time import monotonic

import nats.errors
from nats.aio.client import Client

from tidings.store.jetstream.failures import Broken, Unreached, in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    from nats.js import JetStreamContext

    from tidings.store.jetstream.address import Address

    T = TypeVar("T")

__all__ = ["Connection", "Line"]

_log = logging.getLogger("tidings.store.jetstream")

_CONNECT = 3.0
"""How long one server may take to answer (seconds)."""

_JUST_NOW = 5.0
"""Servers that were there so lately may be starting anew, and are waited for (seconds)."""

_HANG_UP = 0.5
"""How long to wait for the end of a connection that is given up (seconds)."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_PING = 10
"""How often a silent server is asked whether it is there (seconds); twice without an answer."""

_REMEMBERED = 20

_RESETS = 4
"""A server that refuses may hang up so soon that its reason gets lost; it is asked again."""

_REFUSALS = ("authorization violation", "authentication", "permissions violation")


class _Said:
    """What went wrong on a connection, as nats-py heard it.

    Attributes:
        words: the last few things.
        news: done when there is something new; another one is then in its place.
        who: whether the server wanted to know who asks.
    """

    def __init__(self) -> None:
        self.words: deque[str] = deque(maxlen=_REMEMBERED)
        self.who = False
        self.news: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hear(self, error: Exception) -> None:
        """Note an error; nats-py awaits it."""
        self.words.append(in_words(error))
        self.news.set_result(None)
        self.news = asyncio.get_running_loop().create_future()


class _Encrypted(Client):
    """nats-py's client for a server that must speak TLS.

    By itself it asks for TLS only where the server says that it wants it, and else sends passwords
    and events in the clear, whatever it was told.
    """

    async def _process_info(
        self,
        info: dict[str, Any],
        initial_connection: bool = False,  # noqa: FBT001, FBT002 - as there
    ) -> None:
        if initial_connection and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise nats.errors.Error("it speaks no TLS, which the URL wants; nothing was sent")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection=initial_connection)


class Line:
    """One connection that stands until it is lost.

    Args:
        client: nats-py's, connected.
        said: what went wrong on it.

    Attributes:
        client: as given.
        jetstream: its JetStream.
        lost: done when the connection is no more; its result says why.
    """

    def __init__(self, client: Client, said: _Said) -> None:
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._said = said
        reading = client._reading_task  # noqa: SLF001 - only its end is a sure sign of a lost line
        if reading is None:
            self.lose("the connection was lost")
        else:
            reading.add_done_callback(self._end)

    def _end(self, reading: asyncio.Task[Any]) -> None:
        error = (None if reading.cancelled() else reading.exception()) or self.client.last_error
        self.lose("the connection was lost" if error is None else in_words(error))

    def lose(self, why: str) -> None:
        """Count the connection as lost."""
        if not self.lost.done():
            self.lost.set_result(why)

    @property
    def stands(self) -> bool:
        """Whether the connection is there still, as far as is known."""
        return not self.lost.done()

    def refusal(self, subject: str) -> str | None:
        """What the server said where it does not let us use a subject, or hear answers at all."""
        about = f'for publish to "{subject}'.lower()
        for words in map(str.lower, self._said.words):
            if (subject and about in words) or "for subscription to" in words:
                return words
        return None

    async def ask(self, work: Coroutine[Any, Any, T], seconds: float, subject: str = "") -> T:
        """Wait for an answer, and not longer than the connection stands.

        Args:
            work: what sends and waits.
            seconds: the longest to wait.
            subject: what is published to, so that a refusal can be told from silence.

        Raises:
            Broken: no answer came.
        """
        heard = self.client.stats["in_msgs"]
        task = asyncio.ensure_future(work)
        end = monotonic() + seconds
        refusal = None
        try:
            while refusal is None and self.stands and (left := end - monotonic()) > 0:
                any_of: set[asyncio.Future[Any]] = {task, self.lost, self._said.news}
                await asyncio.wait(any_of, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if task.done() and not task.cancelled():
                    return task.result()
                refusal = self.refusal(subject)
        except (TimeoutError, nats.errors.TimeoutError):
            pass  # as when our own time runs out
        except (nats.errors.ConnectionClosedError, nats.errors.OutboundBufferLimitError, OSError):
            self.lose("the connection was lost")
        finally:
            await _cancel(task)
        if not self.stands:
            raise Broken(self.lost.result())
        if refusal is not None:
            raise Broken(refusal, refused=True)
        if self.client.stats["in_msgs"] == heard and seconds >= _CONNECT:
            # Nothing at all came in all that time: another server may do better.
            self.lose("the server fell silent")
        raise Broken("no answer came in time")

    async def close(self) -> None:
        """Hang up."""
        self.lose("the connection was closed")
        await _hang_up(self.client)


class Connection:
    """The connection of one store.

    Args:
        address: where its servers are and who asks.

    Attributes:
        server: the last one that answered, `host:port`.
        version: its version.
        most_bytes: the largest message that any of them took; 0 where none has answered yet.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls: ssl.SSLContext | None = address.tls_context()
        self._line: Line | None = None
        self._making: asyncio.Task[None] | None = None
        self._round: asyncio.Future[Unreached | None] = asyncio.get_running_loop().create_future()
        self._stood = float("-inf")
        self._closed = False
        self.most_bytes = 0
        self.server = ""
        self.version = ""

    async def line(self, by: float | None) -> Line:
        """A connection that stands.

        Args:
            by: the longest to wait for one (on the monotonic clock); none waits for good.

        Raises:
            Unreached: there is none: time is up; or no server is there, nor was any just now.
        """
        why = Unreached("time was up")
        while not self._closed:
            if self._line is not None and self._line.stands:
                return self._line
            made = await self._next_round(by)
            if isinstance(made, Unreached):
                why = made
                waits = by is None or monotonic() - self._stood < _JUST_NOW
                if why.refused or not waits or (by is not None and monotonic() >= by):
                    raise why
        raise Unreached("the store was closed")

    async def _next_round(self, by: float | None) -> Unreached | None:
        """Wait until all servers were tried once more; why it was in vain, if it was."""
        if self._making is None or self._making.done():
            self._round = asyncio.get_running_loop().create_future()
            self._making = asyncio.ensure_future(self._make(self._round))
        # `_round` is another one by the time this one is done.
        this = self._round
        left = None if by is None else max(0.0, by - monotonic())
        await asyncio.wait({this}, timeout=left)
        return this.result() if this.done() else Unreached("no server answered in time")

    async def _make(self, told: asyncio.Future[Unreached | None]) -> None:
        """Try the servers, one after the other, until one answers; tell of each round."""
        await self._drop()
        pause = _FIRST_PAUSE
        while not self._closed:
            failure = await self._try_all()
            if failure is None:
                self._stood = float("inf")
            self._round = asyncio.get_running_loop().create_future()
            told.set_result(failure)
            if failure is None or failure.refused:
                return
            told = self._round
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._stood = monotonic()
            _log.warning("%s: connection lost: %s", self._address.url, line.lost.result())
            await line.close()

    async def _try_all(self) -> Unreached | None:
        failure = Unreached("no server is known")
        hosts = list(self._address.hosts)
        random.shuffle(hosts)
        for host in hosts:
            said = _Said()
            try:
                client = await self._connected(host, said)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next server may do better
                # That no server is left says nothing; why it is so was said before.
                vague = isinstance(error, nats.errors.NoServersError) and said.words
                words = said.words[-1] if vague else in_words(error)
                if said.who and not isinstance(error, nats.errors.Error):
                    words = f"{words}: an authorization violation, as it seems"
                refused = any(each in words.lower() for each in _REFUSALS)
                failure = Unreached(f"{host}: {words}", refused=refused)
                continue
            self._line = Line(client, said)
            self._learn(client, host)
            return None
        return failure

    def _learn(self, client: Client, host: str) -> None:
        self.server = host
        self.version = str(client._server_info.get("version", ""))  # noqa: SLF001 - told nowhere else
        self.most_bytes = min(self.most_bytes or client.max_payload, client.max_payload)

    async def _connected(self, host: str, said: _Said) -> Client:
        for _ in range(_RESETS):
            with suppress(ConnectionResetError, BrokenPipeError):
                return await self._connected_once(host, said)
        return await self._connected_once(host, said)

    async def _connected_once(self, host: str, said: _Said) -> Client:
        address = self._address
        client = _Encrypted() if address.tls else Client()
        who: dict[str, Any] = {
            "user": address.user,
            "password": address.password,
            "token": address.token,
            "user_credentials": address.credentials,
            "nkeys_seed": address.nkey,
        }
        try:
            await asyncio.wait_for(
                client.connect(
                    servers=[f"{'tls' if address.tls else 'nats'}://{host}"],
                    name=f"tidings {address.name} {os.getpid()}",
                    error_cb=said.hear,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=_CONNECT,  # type: ignore[arg-type]  # a float does as well
                    ping_interval=_PING,
                    pending_size=0,
                    tls=self._tls,
                    **{name: value for name, value in who.items() if value is not None},
                ),
                _CONNECT,
            )
            _ensure_greeted(client)
        except BaseException:
            said.who |= bool(client._server_info.get("auth_required"))  # noqa: SLF001 - as above
            await _hang_up(client)
            raise
        return client

    def sockets(self) -> list[socket.socket]:
        """The sockets that are open; for a forked child, which must let go of them."""
        line = self._line
        transport = None if line is None else _transport(line.client)
        found = None if transport is None else transport.get_extra_info("socket")
        return [] if found is None else [found]

    async def close(self) -> None:
        """Hang up for good; who waits is told."""
        self._closed = True
        if self._making is not None:
            await _cancel(self._making)
        if not self._round.done():
            self._round.set_result(Unreached("the store was closed"))
        line, self._line = self._line, None
        if line is not None:
            await line.close()


def _ensure_greeted(client: Client) -> None:
    """Refuse a server that hung up where its PONG was due; nats-py takes it for connected."""
    if not client.is_connected:
        raise ConnectionResetError("the server hung up when it was greeted")


async def _cancel(task: asyncio.Future[Any]) -> None:
    """End a task, and let nobody wonder what became of it."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _transport(client: Client) -> Any:
    """The transport of asyncio below a client, if there is one."""
    writer = getattr(client._transport, "_io_writer", None)  # noqa: SLF001 - nats-py has no other way
    return None if writer is None else writer.transport


async def _hang_up(client: Client) -> None:
    """Close a client, and its socket also where it thinks that it is closed already."""
    transport = _transport(client)
    with suppress(Exception):
        # After a TLS handshake that failed, nats-py would wait for good.
        await asyncio.wait_for(client.close(), _HANG_UP)
    if transport is not None:
        transport.abort()
