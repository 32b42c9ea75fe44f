"""Sending one message to one endpoint, and judging what came of it.

Keeps its part of promise 3: whatever a receiver does (hangs, lies, answers without end, breaks in
the middle) becomes an attempt with a verdict, in bounded time and memory, and disturbs no other.
When what is sent, and what follows a verdict, is the engine's matter. Where it may go: `addresses`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import AsyncExitStack
from functools import cache
from io import BytesIO
from itertools import product
from typing import NamedTuple, Self
from weakref import WeakSet

from tidings.clock import Clock
from tidings.delivery.webhooks.addresses import Policy, allowed_networks, fault_of, networks_of
from tidings.delivery.webhooks.message import message_of
from tidings.delivery.webhooks.retry_after import pause_asked
from tidings.errors import MissingExtra, TidingsError
from tidings.subscriptions.progress import Attempt

try:
    import aiohttp
    import standardwebhooks  # noqa: F401 - what signs; it shall be missed here, and no later
    from yarl import URL

    from tidings.delivery.webhooks.failures import about_exception, about_status, about_timeout
    from tidings.delivery.webhooks.reaching import NameService, Trip, open_session
except ModuleNotFoundError as error:
    if error.name not in ("aiohttp", "standardwebhooks"):
        raise
    raise MissingExtra("sending webhooks", "webhooks") from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from types import TracebackType

    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.delivery.webhooks.message import Message
    from tidings.delivery.webhooks.reaching import Lookup
    from tidings.event import Event

__all__ = ["GONE", "OK", "RETRY", "TIMEOUT", "Sender", "Sent"]

OK = "ok"
"""Delivered."""
RETRY = "retry"
"""Not delivered, or not known to be: to be sent again."""
GONE = "gone"
"""The receiver wants no more messages (410)."""

TIMEOUT = 20.0
"""So long may an attempt take, from the name's look-up to the answer's end (seconds)."""

_MOST_AT_ONCE = 10_000
_MOST_READ = 8192
"""So much of an answer is read (bytes); one that goes on is cut off, and counts by its status."""

_MOST_WITHOUT_COPY = 1 << 20
_GONE = 410
_HIDDEN = "***"
_LEAST_HIDDEN = 8


class Sent(NamedTuple):
    """What came of an attempt.

    Attributes:
        attempt: as it is listed.
        verdict: `OK`, `RETRY` or `GONE`.
        pause: what the receiver asked for, by Retry-After (seconds); none where it did not.
    """

    attempt: Attempt
    verdict: str
    pause: float | None = None


class Sender:
    """Sends messages to any number of endpoints from one event loop; an async context manager.

    Args:
        clock: gives the time that is signed, and durations.
        networks: where any endpoint may lie though it is not public; by default those of
            `TIDINGS_WEBHOOK_NETWORKS`.
        limit: so many attempts may be under way at once; the others wait before they begin. By
            default a quarter of the files this process may open, at most 10,000. About twice as
            many connections may be open, as some are kept for a few seconds to be used again.
        timeout: how long an attempt may take (seconds).
        lookup: finds the addresses of a name; by default the system does.

    Raises:
        InvalidSetting: a network is none.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        networks: Iterable[str] | None = None,
        limit: int | None = None,
        timeout: float = TIMEOUT,
        lookup: Lookup | None = None,
    ) -> None:
        self.limit = _default_limit() if limit is None else limit
        self._clock = clock or Clock()
        given = networks is not None
        self._networks = networks_of(",".join(networks or ())) if given else allowed_networks()
        self._timeout = timeout
        self._lookup = lookup
        self._connections: WeakSet[socket.socket] = WeakSet()

    async def __aenter__(self) -> Self:
        self._room = asyncio.Semaphore(self.limit)
        self._closing = AsyncExitStack()
        lookup = self._lookup or NameService()
        tls = _tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        self._sessions = {}
        for private, keep in product((False, True), repeat=2):
            policy = Policy(private, self._networks)
            session = open_session(policy, lookup, tls, self._connections, keep=keep)
            self._sessions[private, keep] = await self._closing.enter_async_context(session)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._closing.aclose()

    async def send(self, endpoint: Endpoint, event: Event) -> Sent:
        """Make one attempt.

        Args:
            endpoint: whom to tell.
            event: what to tell.

        Returns:
            What came of it. Nothing that a receiver does raises.
        """
        async with self._room:
            started = self._clock.elapsed()
            trying = _Trying(endpoint, self._clock.now())
            await self._try(trying, endpoint, event)
            return trying.sent(self._clock.elapsed() - started)

    async def _try(self, trying: _Trying, endpoint: Endpoint, event: Event) -> None:
        try:
            fault = fault_of(endpoint.url, Policy(endpoint.allow_private, self._networks))
            if fault:
                trying.error = f"InvalidURL: the endpoint's URL {fault}"
                return
            message = message_of(endpoint, event, trying.at)
            async with asyncio.timeout(self._timeout):
                await self._post(trying, endpoint, message)
        except TimeoutError:
            trying.error = about_timeout(self._timeout, answering=trying.status is not None)
        except TidingsError as error:
            trying.error = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - a receiver may bring about any, and it is told
            trying.error = about_exception(error, answering=trying.status is not None)

    async def _post(self, trying: _Trying, endpoint: Endpoint, message: Message) -> None:
        while True:
            trip = Trip()
            try:
                return await self._exchange(trying, endpoint, message, trip)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A receiver may close a connection that idles just when we use it again. That is
                # no failure of its, so another one is taken at once, in the end a new one.
                if trying.status is not None or not trip.reused:
                    raise

    async def _exchange(
        self, trying: _Trying, endpoint: Endpoint, message: Message, trip: Trip
    ) -> None:
        body = message.body.encode()
        # With many endpoints, connections to them are not left open for a message that may follow.
        keep = len(self._connections) <= self.limit
        async with self._sessions[endpoint.allow_private, keep].post(
            URL(endpoint.url, encoded=True),
            data=body if len(body) <= _MOST_WITHOUT_COPY else BytesIO(body),
            headers=message.headers,
            allow_redirects=False,
            trace_request_ctx=trip,
        ) as response:
            trying.status = response.status
            trying.pause = pause_asked(response.headers.getall("retry-after", ()), trying.at)
            while len(trying.answer) < _MOST_READ:
                chunk = await response.content.readany()
                if not chunk:
                    return
                trying.answer += chunk
            response.close()


class _Trying:
    """What is known about an attempt so far."""

    def __init__(self, endpoint: Endpoint, at: int) -> None:
        self.at = at
        self.status: int | None = None
        self.answer = bytearray()
        self.pause: float | None = None
        self.error = ""
        said = " ".join(endpoint.headers.values()).split()
        self._hidden = [word for word in said if len(word) >= _LEAST_HIDDEN]

    def sent(self, seconds: float) -> Sent:
        """The attempt and its verdict."""
        ok = self.status is not None and 200 <= self.status < 300
        if not self.error and not ok and self.status is not None:
            self.error = about_status(self.status)
        attempt = Attempt(self.at, seconds, self.error, self.status, self._text()).cut()
        if not self.error:
            return Sent(attempt, OK)
        return Sent(attempt, GONE if self.status == _GONE else RETRY, self.pause)

    def _text(self) -> str:
        """The answer as text that can be shown on a terminal and kept in any store."""
        text = self.answer[:_MOST_READ].decode(errors="replace")
        for word in self._hidden:  # some receivers say what they were told
            text = text.replace(word, _HIDDEN)
        return "".join(
            character if character.isprintable() or character in "\n\t" else "�"
            for character in text
        )


@cache
def _tls(file: str | None, directory: str | None) -> ssl.SSLContext:
    """The system's authorities, or those that are set; to read them takes a while."""
    del file, directory  # OpenSSL reads them by itself
    return ssl.create_default_context()


def _default_limit() -> int:
    try:
        import resource
    except ImportError:  # Windows has none
        return 500
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_AT_ONCE if soft == resource.RLIM_INFINITY else min(soft // 4, _MOST_AT_ONCE)
