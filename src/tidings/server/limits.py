"""How much of the server one caller may take: requests a second, and live streams at once.

Keeps promise 6 (limits on rate and connections) with clear answers: 429 and 503 that say when to
come back. How large a body may be is `calls`'; how many connections there are, `serving`'s.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil
from time import monotonic

from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tidings.server.access import Caller
    from tidings.server.config import APIServerConfig

__all__ = ["Limits", "StreamSlot"]

_BURST_SECONDS = 10.0
"""Who was quiet may ask at once for as much as the rate gives in so long."""

_LOOPBACK_FACTOR = 20
"""This machine's own requests may be so many times more: there is no stranger to keep off."""

_FAILURES_PER_SECOND = 1.0
_FAILURE_BURST_SECONDS = 20.0
_MOST_BUCKETS = 10_000
_STREAMS_RETRY_SECONDS = 5


class Limits:
    """The limits of one server process; each of several has its share of them.

    A caller is a key at an address: one key on many nodes does not slow itself down, and those
    behind one address with keys of their own do not slow each other down.

    Args:
        config: `rate_limit` (0: none), `max_streams`, `max_streams_per_key` and `workers` count.
        clock: gives the time (seconds).
    """

    def __init__(self, config: APIServerConfig, clock: Callable[[], float] = monotonic) -> None:
        share = max(1, config.workers)
        rate = config.rate_limit / share
        self._clock = clock
        self._unlimited = rate == 0
        self._afar = _Buckets(rate, _BURST_SECONDS)
        self._near = _Buckets(rate * _LOOPBACK_FACTOR, _BURST_SECONDS)
        self._failures = _Buckets(_FAILURES_PER_SECOND / share, _FAILURE_BURST_SECONDS * share)
        self._most_streams = ceil(config.max_streams / share)
        self._most_streams_per_key = ceil(config.max_streams_per_key / share)
        self._streams = 0
        self._streams_of: dict[str, int] = {}

    def take(self, key_id: str, address: str) -> None:
        """Count a request.

        Args:
            key_id: of the caller's key; empty without one.
            address: the caller's; empty on a Unix socket.

        Raises:
            Problem: 429 where there were too many.
        """
        if self._unlimited:
            return
        network, near = network_of(address)
        buckets = self._near if near else self._afar
        wait = buckets.take(f"{key_id}@{network}", self._clock())
        if wait:
            raise _too_many("requests come faster than this server takes them", wait)

    def may_try(self, address: str) -> None:
        """Refuse to look for a key or session for those who gave too many wrong ones.

        Raises:
            Problem: 429.
        """
        wait = self._failures.wait(network_of(address)[0], self._clock())
        if wait:
            raise _too_many("too many wrong keys came from this address", wait)

    def failed(self, address: str) -> None:
        """Count a wrong key or session.

        Raises:
            Problem: 429 where there were too many.
        """
        wait = self._failures.take(network_of(address)[0], self._clock())
        if wait:
            raise _too_many("too many wrong keys came from this address", wait)

    def stream_slot(self, caller: Caller) -> StreamSlot:
        """Claim the right to one live stream; to be released when it ends.

        Claim it in the handler, not in a generator: one that never starts never ends either.

        Raises:
            Problem: 503 where there are too many, of this caller or in all.
        """
        owner = caller.key_id or network_of(caller.address)[0]
        most = self._most_streams_per_key if owner else self._most_streams
        if self._streams >= self._most_streams:
            raise _too_many_streams(f"all {self._most_streams:,} live streams are taken")
        if self._streams_of.get(owner, 0) >= most:
            whose = "this key" if caller.key_id else "this address"
            raise _too_many_streams(f"{whose} has {most:,} live streams already; close some")
        self._streams += 1
        self._streams_of[owner] = self._streams_of.get(owner, 0) + 1
        return StreamSlot(self, owner)

    def _give_back(self, owner: str) -> None:
        self._streams -= 1
        left = self._streams_of[owner] - 1
        if left:
            self._streams_of[owner] = left
        else:
            del self._streams_of[owner]


class StreamSlot:
    """The right to one live stream; as a context manager it releases itself."""

    __slots__ = ("_limits", "_owner", "_released")

    def __init__(self, limits: Limits, owner: str) -> None:
        self._limits = limits
        self._owner = owner
        self._released = False

    def release(self) -> None:
        """Give it back; calling again is harmless."""
        if not self._released:
            self._released = True
            self._limits._give_back(self._owner)  # noqa: SLF001 - the two are one thing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _Buckets:
    """A token bucket for each name, in bounded memory.

    A bucket is one number: when it will be full again. That is the virtual scheduling algorithm,
    which decides exactly as a bucket of tokens does. Source: ITU-T I.371, annex A (GCRA).

    Args:
        rate: tokens a second.
        burst_seconds: a full bucket holds the tokens of so long.
    """

    __slots__ = ("_burst", "_cost", "_full_at")

    def __init__(self, rate: float, burst_seconds: float) -> None:
        self._cost = 1 / rate if rate else 0.0
        # At least one token, however slow the rate.
        self._burst = max(burst_seconds, self._cost)
        self._full_at: dict[str, float] = {}

    def take(self, name: str, now: float) -> float:
        """Take a token; returns how long to wait for one (seconds), 0 where it was taken."""
        full_at = self._full_at.get(name)
        if full_at is None:
            if len(self._full_at) >= _MOST_BUCKETS:
                self._forget(now)
            full_at = now
        elif full_at < now:
            full_at = now
        after = full_at + self._cost
        wait = after - now - self._burst
        if wait > _ROUNDING:
            return wait
        self._full_at[name] = after
        return 0.0

    def wait(self, name: str, now: float) -> float:
        """How long until there is a token (seconds); 0 where there is one."""
        wait = self._full_at.get(name, now) + self._cost - now - self._burst
        return wait if wait > _ROUNDING else 0.0

    def _forget(self, now: float) -> None:
        """Make room: full buckets are as good as new ones; else the older half goes."""
        left = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        if len(left) >= _MOST_BUCKETS:
            left = dict(list(left.items())[_MOST_BUCKETS // 2 :])
        self._full_at = left


_ROUNDING = 1e-9
"""Sums of fractions of a second are wrong by less than this."""


@lru_cache(4096)
def network_of(address: str) -> tuple[str, bool]:
    """What of an address counts as one caller, and whether it is this machine.

    A network of IPv6 is given out as a /64 at least, so its addresses count as one (RFC 6177).

    >>> network_of("2001:db8::7"), network_of("127.0.0.1"), network_of("192.0.2.1")
    (('2001:db8::', False), ('', True), ('192.0.2.1', False))
    """
    if not address:
        return "", True
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address, False
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return network_of(str(ip.ipv4_mapped))
        if not ip.is_loopback:
            return str(IPv6Address(int(ip) >> 64 << 64)), False
    return ("", True) if ip.is_loopback else (str(ip), False)


def _too_many(what: str, wait: float) -> Problem:
    seconds = max(1, ceil(wait))
    return Problem(
        429,
        "too-many-requests",
        f"{what}; come back in {seconds} s",
        headers=(("retry-after", str(seconds)),),
    )


def _too_many_streams(what: str) -> Problem:
    return Problem(
        503,
        "too-many-streams",
        f"{what}; come back in {_STREAMS_RETRY_SECONDS} s",
        headers=(("retry-after", str(_STREAMS_RETRY_SECONDS)),),
    )
