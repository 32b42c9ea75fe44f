"""Real receivers of webhooks on loopback: good ones, and ones that do what no receiver should.

A `Receiver` is an HTTP server of a few lines in a thread of its own, so that it can break HTTP as
it likes. What it answers is an `Answer`; what hangs does so until it is released, never for a time.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from errno import EADDRINUSE
from functools import cache
from http import HTTPStatus
from pathlib import Path
from struct import pack
from subprocess import run
from threading import Condition, Thread
from typing import Any, NamedTuple, Self, TypeAlias

from standardwebhooks import Webhook, WebhookVerificationError

from tests.server.conftest import free_port
from tidings.delivery.webhooks.endpoint import Endpoint, Secret
from tidings.delivery.webhooks.signing import new_secret

__all__ = [
    "CLOSE",
    "CLOSE_IN_BODY",
    "ENDLESS",
    "GARBAGE",
    "GONE",
    "HANG",
    "HANG_IN_BODY",
    "OK",
    "PIECEMEAL",
    "RESET",
    "Answer",
    "Exchange",
    "Got",
    "Receiver",
    "answer",
    "certificate_for_loopback",
    "endpoint_at",
    "redirect",
    "refused_url",
    "retry_later",
]

PATIENCE = 60.0
"""How long a test waits for anything before it fails (seconds)."""


class Got(NamedTuple):
    """A request that was received.

    Attributes:
        method: as it stood there.
        path: with its query.
        headers: by name in lower case.
        body: as it came.
        verified: whether one of the receiver's secrets signed it.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    verified: bool


class Exchange:
    """A request under way, as an `Answer` sees it."""

    def __init__(self, got: Got, writer: asyncio.StreamWriter, released: asyncio.Event) -> None:
        self.got = got
        self.writer = writer
        self.released = released
        self.keep = True

    async def say(self, *parts: bytes) -> None:
        """Write bytes, each part as soon as the one before has left."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def hang(self) -> None:
        """Wait until the test releases what hangs."""
        await self.released.wait()

    def end(self) -> None:
        """Close the connection when this answer is through."""
        self.keep = False


Answer: TypeAlias = Callable[[Exchange], Awaitable[None]]


def answer(status: int = 200, body: bytes = b"ok", **headers: str) -> Answer:
    """An answer in due form; an underscore in a header's name stands for a hyphen."""
    message = _message(status, body, **headers)

    async def say(exchange: Exchange) -> None:
        await exchange.say(message)

    return say


def _message(status: int, body: bytes, **headers: str) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Whatever"
    given = {"Content-Length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} {phrase}", *lines, "", ""])
    return head.encode("latin-1") + body


def redirect(url: str, status: int = 302) -> Answer:
    """A redirect to another address."""
    return answer(status, b"", Location=url)


def retry_later(after: str, status: int = 429) -> Answer:
    """An answer that asks for a pause: seconds, or a date."""
    return answer(status, b"later", Retry_After=after)


OK = answer()
GONE = answer(410, b"")


async def HANG(exchange: Exchange) -> None:  # noqa: N802 - an answer is a constant to its users
    """Say nothing until released, then OK."""
    await exchange.hang()
    await OK(exchange)


async def HANG_IN_BODY(exchange: Exchange) -> None:  # noqa: N802
    """Say the head and half of the body, the rest when released."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    await exchange.hang()
    await exchange.say(b"half")


async def PIECEMEAL(exchange: Exchange) -> None:  # noqa: N802
    """Answer in due form, byte by byte."""
    await exchange.say(*(bytes([byte]) for byte in _message(200, b"slowly")))


async def CLOSE(exchange: Exchange) -> None:  # noqa: N802
    """Close the connection instead of answering."""
    exchange.end()


async def RESET(exchange: Exchange) -> None:  # noqa: N802
    """Reset the connection instead of answering."""
    sock = exchange.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
    exchange.end()


async def CLOSE_IN_BODY(exchange: Exchange) -> None:  # noqa: N802
    """Promise eight bytes of body, and close after four."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    exchange.end()


async def GARBAGE(exchange: Exchange) -> None:  # noqa: N802
    """Answer in no HTTP."""
    await exchange.say(b"\x16\x03\x01 what do you want?\r\n\r\n")
    exchange.end()


async def ENDLESS(exchange: Exchange) -> None:  # noqa: N802
    """Answer 200 and go on until the other side has enough."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while not exchange.writer.is_closing():
        await exchange.say(b"and on " * 10_000)


class Receiver:
    """A receiver on loopback, from when it is made until it is closed; a context manager.

    Args:
        say: what it answers; `OK` if left out.
        secrets: what it checks signatures with; a message that none of them signed is received all
            the same, and so marked.
        check_time: whether a signature's time must be that of the machine; not so under a clock
            that a test moves.
        certificate: a PEM file with certificate and key; then it speaks https.
        host: where it listens.

    Attributes:
        url: where it takes webhooks.
        answer: what it answers from now on.
        paths: what it answers at a path (`/sick`) instead.
        script: what it answers next, one by one, before all that.
        connections: how many connections were made to it.
    """

    def __init__(
        self,
        say: Answer = OK,
        *,
        secrets: Iterable[str] = (),
        check_time: bool = True,
        certificate: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.answer = say
        self.paths: dict[str, Answer] = {}
        self.script: list[Answer] = []
        self.connections = 0
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._check_time = check_time
        self._got: list[Got] = []
        self._changed = Condition()
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        listener = _listener(host)
        self.port = listener.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{self.port}/hook"
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = Thread(target=self._loop.run_forever, name="receiver", daemon=True)
        self._thread.start()
        self._on_loop(self._listen(listener))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def at(self, path: str, say: Answer | None = None) -> str:
        """The URL of another path, and what is answered there."""
        if say is not None:
            self.paths[path] = say
        return self.url.removesuffix("/hook") + path

    @property
    def got(self) -> list[Got]:
        """All requests so far."""
        with self._changed:
            return list(self._got)

    def wait(self, count: int = 1) -> list[Got]:
        """All requests so far, as soon as there are so many; they may still be unanswered."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._got) >= count, PATIENCE)
            assert enough, f"{len(self._got)} requests came in {PATIENCE:g} s, not {count}"
            return list(self._got)

    def release(self) -> None:
        """Let go on what hangs now."""
        self._on_loop(self._release())

    def hang_up(self) -> None:
        """Close every connection, as a server does with those that idle."""
        self._on_loop(self._cut())

    def close(self) -> None:
        """Listen no more, and break off what is under way."""
        if self._loop.is_closed():
            return
        self._on_loop(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _on_loop(self, doing: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(PATIENCE)

    async def _listen(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(
            self._serve, sock=listener, ssl=self._tls, limit=1 << 22, backlog=1024
        )

    async def _release(self) -> None:
        released, self._released = self._released, asyncio.Event()
        released.set()

    async def _cut(self) -> None:
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _shut(self) -> None:
        self._server.close()
        await self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        # Who sends may break off at any moment: that is no fault of the receiver's.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        self._serving.discard(task)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        start = await reader.readexactly(1)
        if not start.isalpha():  # TLS, and this is none
            writer.write(_message(400, b"speak HTTP"))
            return False
        head = start + await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        got = Got(method, path, headers, body, self._verify(headers, body))
        # Taken before the request can be seen, so that a release that follows it is not missed.
        exchange = Exchange(got, writer, self._released)
        with self._changed:
            say = self._next(path)
            self._got.append(got)
            self._changed.notify_all()
        await say(exchange)
        return exchange.keep and headers.get("connection", "").lower() != "close"

    def _next(self, path: str) -> Answer:
        return (
            self.script.pop(0)
            if self.script
            else self.paths.get(path.partition("?")[0], self.answer)
        )

    def _verify(self, headers: dict[str, str], body: bytes) -> bool:
        return any(self._signed_by(verifier, headers, body) for verifier in self._verifiers)

    def _signed_by(self, verifier: Webhook, headers: dict[str, str], body: bytes) -> bool:
        try:
            if self._check_time:
                verifier.verify(body, headers)
                return True
            second = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
            signature = verifier.sign(headers["webhook-id"], second, body.decode())
            return signature in headers["webhook-signature"].split(" ")
        except (WebhookVerificationError, ValueError, KeyError):
            return False


def endpoint_at(url: str, **changes: Any) -> Endpoint:
    """An endpoint that may be on this machine, with a secret of its own."""
    endpoint = Endpoint(
        id="wh_0123456789abcdef",
        url=url,
        filters={},
        description="",
        body="cloudevents",
        secrets=(Secret(new_secret()),),
        headers={},
        allow_private=True,
        concurrency=4,
        from_position=0,
        paused=False,
        disabled="",
        created_at=0,
    )
    return endpoint._replace(**changes)


def _listener(host: str) -> socket.socket:
    """A socket on a free port; another process may take the port that was found free."""
    while True:
        try:
            return socket.create_server((host, free_port()), backlog=1024)
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise


@cache
def _nobody() -> socket.socket:
    """Has a port at which it does not listen, for as long as this process lives."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


def refused_url() -> str:
    """A URL where nobody listens, and where nobody else can begin to."""
    return f"http://127.0.0.1:{_nobody().getsockname()[1]}/hook"


def certificate_for_loopback(directory: Path) -> Path:
    """A PEM file with a certificate that is its own authority, for `localhost`, and its key."""
    made = directory / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(made), "-out", str(directory / "only.pem")]
    run([*command.split(), *names, *files], check=True, capture_output=True)
    with made.open("ab") as pem:
        pem.write((directory / "only.pem").read_bytes())
    return made
