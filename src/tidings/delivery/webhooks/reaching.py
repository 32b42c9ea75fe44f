"""Reaching an endpoint: its name looked up once for each connection, every address checked.

Keeps promise 6: what was checked is what is connected to. The resolver refuses a name if any of its
addresses is refused, so that nobody mixes a private one in; whatever else leads to a connection (an
address in the URL) is checked once more where the socket is made. A connection that is kept and
used again stays with the address it was checked for. No redirect is followed and no proxy is asked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any
    from weakref import WeakSet

    from tidings.delivery.webhooks.addresses import Policy

__all__ = ["AddressNotAllowed", "Lookup", "NameService", "Trip", "open_session", "refuse"]

Lookup: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""Gives the addresses of a name; raises OSError where it has none."""

_MOST_LOOKUPS = 256
_IDLE_SECONDS = 4.0
"""Many servers close what idles for five seconds; so mostly we do it first."""

_BUFFER = 8192


class AddressNotAllowed(OSError):  # noqa: N818 - names say what is, as in `tidings.errors`
    """A name leads to an address that webhooks may not reach; nothing was connected to."""


class Trip:
    """What is known about the way of one request.

    Attributes:
        reused: whether it went over a connection that was there before.
    """

    reused = False


class NameService:
    """The system's resolver, many names at once.

    A thread for each look-up, since the system's call cannot be interrupted: it may hang for half a
    minute, and neither other endpoints nor the process's end shall wait for it.
    """

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_MOST_LOOKUPS)

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of a name."""
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()

        def tell(addresses: Sequence[str], failure: OSError | None) -> None:
            self._room.release()  # not before: who waits no longer does not end the thread
            if found.done():
                return
            if failure is None:
                found.set_result(addresses)
            else:
                found.set_exception(failure)

        def look_up() -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(tell, *_look_up(host))

        try:
            Thread(target=look_up, name="tidings-webhook-name", daemon=True).start()
        except RuntimeError:  # the machine lets us have no more threads
            self._room.release()
            raise OSError("no thread is left to look it up") from None
        return await found


def _look_up(host: str) -> tuple[Sequence[str], OSError | None]:
    """The addresses of a name, or why it has none; blocks."""
    try:
        entries = socket.getaddrinfo(
            host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except OSError as error:
        return (), error
    except ValueError:  # it cannot be encoded as one
        return (), OSError("it is no name")
    return [str(entry[4][0]) for entry in entries], None


class _CheckedResolver(AbstractResolver):
    """Looks names up for aiohttp, and refuses one with any address that is not allowed."""

    def __init__(self, policy: Policy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family  # both are wanted
        addresses = await self._lookup(host)
        for address in addresses:
            refuse(self._policy, host, address)
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


class _Connection(socket.socket):
    """A socket that leaves the set of those that are open when it is closed."""

    def __init__(
        self, family: int, kind: int, protocol: int, connections: WeakSet[socket.socket]
    ) -> None:
        super().__init__(family, kind, protocol)
        self._connections = connections
        connections.add(self)

    def close(self) -> None:
        """As asyncio ends it."""
        self._connections.discard(self)
        super().close()

    def detach(self) -> int:
        """As uvloop ends it."""
        self._connections.discard(self)
        return super().detach()


def refuse(policy: Policy, host: str, address: str) -> None:
    """Raise AddressNotAllowed where the policy objects to an address."""
    why = policy.refusal(ip_address(address))
    if why:
        raise AddressNotAllowed(f"{host} {why}")


def open_session(
    policy: Policy,
    lookup: Lookup,
    tls: ssl.SSLContext,
    connections: WeakSet[socket.socket],
    *,
    keep: bool,
) -> aiohttp.ClientSession:
    """A session whose connections lead where the policy allows.

    Args:
        policy: which addresses are allowed. Connections made under one policy are used under no
            other, as each session keeps its own.
        lookup: finds the addresses of names.
        tls: whose certificates are trusted.
        connections: each connection is put there, and leaves it when it is closed.
        keep: whether a connection is kept to be used again.
    """

    def checked_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = info
        refuse(policy, str(place[0]), str(place[0]))
        return _Connection(family, kind, protocol, connections)

    async def note_reuse(_session: object, context: Any, _parameters: object) -> None:
        context.trace_request_ctx.reused = True

    traces = aiohttp.TraceConfig()
    traces.on_connection_reuseconn.append(note_reuse)
    connector = aiohttp.TCPConnector(
        resolver=_CheckedResolver(policy, lookup),
        use_dns_cache=False,
        socket_factory=checked_socket,
        ssl=tls,
        limit=0,
        keepalive_timeout=_IDLE_SECONDS if keep else None,
        force_close=not keep,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=_BUFFER,
        trace_configs=[traces],
    )
