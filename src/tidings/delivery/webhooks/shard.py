"""A shard: the endpoints that one process serves at a time, and what is written about them.

Keeps promise 3 through crashes: how far an endpoint has come is written together with the shard's
lease, by compare-and-set, so a process that lost the shard can write nothing any more. What was not
written yet is sent again by whoever takes over: what was settled within the last second or so.

The shard's record holds one position for all endpoints that keep up; only those that lag, fail or
are stopped have one of their own.
"""

from __future__ import annotations

import asyncio
import logging
from types import MappingProxyType
from typing import NamedTuple

from tidings.delivery.webhooks.channel import Channel
from tidings.delivery.webhooks.endpoint import Endpoint
from tidings.delivery.webhooks.endpoints import remove_remains
from tidings.delivery.webhooks.keys import ENDPOINT, STANDING, shard_of
from tidings.delivery.webhooks.standing import Standing
from tidings.errors import LeaseLost, OutcomeUnknown, RevisionConflict
from tidings.fields import encode_json
from tidings.store.base import Put
from tidings.subscriptions.dead_letters import PREFIX as LETTERS
from tidings.subscriptions.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from tidings.delivery.webhooks.attempts import AttemptLog, Listed
    from tidings.event import Event
    from tidings.store.base import Store
    from tidings.subscriptions.dead_letters import DeadLetter
    from tidings.subscriptions.leases import Lease

__all__ = ["FIRST", "Shard", "Snapshot", "load", "load_channel", "write"]

FIRST = {"position": 0, "writes": 0}
"""What a shard's record holds at first."""

_LEVEL: dict[str, Any] = Standing(Progress(0), lagging=False).to_value()
"""What is kept about an endpoint that keeps up."""

_LEVEL_TEXT = encode_json(_LEVEL)

_CHUNK = 256 * 1024
"""So much is written at once, about (bytes): a broker bounds its messages."""

_LETTERS = 25
"""So many dead letters are written at once, each with its attempts and an event that tells it."""

_log = logging.getLogger("tidings.webhooks")


class Snapshot(NamedTuple):
    """What is to be written of a shard.

    Attributes:
        lease: its lease.
        position: what all that keep up have reached.
        standings: what is to be kept about which endpoint.
        attempts: what is to be listed, by endpoint.
        letters: dead letters that are to be kept.
        gone: keys of records that are to be removed afterwards.
        settled: what each endpoint has settled, to be remembered when it was written.
        told: the events that tell of the letters, by the letters' keys.
    """

    lease: Lease
    position: int
    standings: dict[str, dict[str, Any]]
    attempts: dict[str, list[Listed]]
    letters: list[DeadLetter]
    gone: list[str]
    settled: dict[str, int]
    told: Mapping[str, Event] = MappingProxyType({})


class Shard:
    """A shard while this process serves it.

    Args:
        number: which one.
        lease: its lease.
        channels: its endpoints.

    Attributes:
        busy: those of the endpoints that are sent something, or have something in memory.
        asks: keys of asks that were carried out and are to be removed.
        sending: whether requests may begin.
        ready: whether it was seen what people asked for while nobody served it.
        leaving: whether it is being handed over.
        written_or_failed: whether no snapshot is being written.
        tasks: what is under way for its endpoints.
    """

    def __init__(self, number: int, lease: Lease, channels: dict[str, Channel]) -> None:
        self.number = number
        self.lease = lease
        self.channels = channels
        self.busy = dict(channels)
        self._touched = dict(channels)
        self.asks: list[str] = []
        self.sending = self.ready = self.leaving = False
        self.written_or_failed = asyncio.Event()
        self.written_or_failed.set()
        self.tasks: set[asyncio.Task[None]] = set()
        # As texts, which the garbage collector leaves alone.
        self._kept = {
            channel.id: encode_json(channel.standing.to_value())
            for channel in channels.values()
            if channel.standing.lagging
        }
        self._written: int = lease.value["position"]

    @property
    def level(self) -> bool:
        """Whether an endpoint relies on the shard's own position."""
        return any(not channel.standing.lagging for channel in self.channels.values())

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return sum(channel.under_way for channel in self.busy.values())

    def add(self, channel: Channel) -> None:
        """An endpoint was made, or comes back after a change."""
        self.channels[channel.id] = channel
        self.touch(channel)
        if channel.standing.lagging:
            self._kept[channel.id] = encode_json(channel.standing.to_value())

    def touch(self, channel: Channel) -> None:
        """There may be something to write about an endpoint, if it is still one of these."""
        if self.channels.get(channel.id) is channel:
            self.busy[channel.id] = self._touched[channel.id] = channel

    def remove(self, id: str) -> None:
        """An endpoint is no more."""
        self.channels.pop(id, None)
        self.busy.pop(id, None)
        self._touched.pop(id, None)
        self._kept.pop(id, None)

    def snapshot(self, end: int, floor: int, *, all: bool) -> Snapshot | None:
        """What is to be written now; `written` or `failed` must follow.

        Only those are looked at that were touched since, and those whose position the shard's own
        depends on: thousands that wait for their schedule cost nothing.

        Args:
            end: up to where the feed has handed over.
            floor: what has not settled everything up to here, lags.
            all: whether to write it even if only the shard's position has moved.

        Returns:
            None where there is nothing.
        """
        position, standings, attempts = end, {}, {}
        letters: list[DeadLetter] = []
        gone, self.asks = self.asks, []
        settled = {}
        relied_on: dict[str, Channel] = {}
        told: dict[str, Event] = {}
        for channel in self._touched.values():
            id = channel.id
            at = settled[id] = channel.settled(end)
            lags = _lags(channel, at, end, floor)
            if not lags:
                position = min(position, at)
                relied_on[id] = channel
            if channel.dirty or id not in self._kept:
                now = channel.standing.to_value() if lags else _LEVEL
                text = encode_json(now) if lags else _LEVEL_TEXT
                if text != self._kept.get(id, _LEVEL_TEXT):
                    standings[id] = now
            if channel.attempts:
                attempts[id], channel.attempts = channel.attempts, []
            if channel.settled_letters or channel.letters:
                name = f"{LETTERS}{channel.endpoint.subscription}/"
                gone += [f"{name}{one:020d}" for one in channel.settled_letters]
                letters += channel.letters
                told |= channel.told
                channel.settled_letters, channel.letters, channel.told = [], [], {}
            channel.dirty = False
        moved = position != self._written and self.level
        if not (standings or attempts or letters or gone or (moved and all)):
            return None
        self._touched = relied_on
        return Snapshot(self.lease, position, standings, attempts, letters, gone, settled, told)

    def written(self, snapshot: Snapshot) -> None:
        """A snapshot was written."""
        self._written = snapshot.position
        for key in (*snapshot.gone, *(letter.key for letter in snapshot.letters)):
            self._is_replayed(key)
        for id, value in snapshot.standings.items():
            if value is _LEVEL:
                self._kept.pop(id, None)
            else:
                self._kept[id] = encode_json(value)
        for id, at in snapshot.settled.items():
            channel = self.busy.get(id)
            if channel is not None:
                channel.tidy(at)
                if channel.resting and (channel.read is None or id in self._kept):
                    del self.busy[id]
                    self._touched.pop(id, None)

    def _is_replayed(self, key: str) -> None:
        """A dead letter was removed or written anew, so it can be asked for again."""
        if key.startswith(LETTERS):
            name, _, position = key.removeprefix(LETTERS).partition("/")
            channel = self.channels.get(name.removeprefix("webhook:"))
            if channel is not None:
                channel.replayed.discard(int(position))

    def failed(self, snapshot: Snapshot) -> None:
        """A snapshot could not be written: all of it is to be written with the next."""
        self.asks += [key for key in snapshot.gone if not key.startswith(LETTERS)]
        for id in snapshot.settled:
            channel = self.channels.get(id)
            if channel is None:
                continue
            self.touch(channel)
            channel.dirty = True
            if id in snapshot.standings:
                self._kept[id] = ""  # it may have been written: it is written again in any case
            channel.attempts[:0] = snapshot.attempts.get(id, [])
            name = channel.endpoint.subscription
            channel.letters[:0] = [one for one in snapshot.letters if one.subscription == name]
            keys = [one.key for one in channel.letters if one.key in snapshot.told]
            channel.told = {key: snapshot.told[key] for key in keys} | channel.told
            start = f"{LETTERS}{name}/"
            channel.settled_letters += [
                int(key.removeprefix(start)) for key in snapshot.gone if key.startswith(start)
            ]


# The ledger: to be called in a thread ------------------------------------------------------------


def load(store: Store, number: int, lease: Lease) -> Shard:
    """Read a shard's endpoints; remove what was left of deleted ones.

    Raises:
        StoreUnavailable: the store is away.
    """
    ids = [key.removeprefix(ENDPOINT) for key in store.keys(ENDPOINT)]
    channels = {}
    for id in ids:
        if shard_of(id) == number:
            channel = load_channel(store, id, lease.value["position"])
            if channel is not None:
                channels[id] = channel
    for key in store.keys(STANDING):
        id = key.removeprefix(STANDING)
        if shard_of(id) == number and id not in channels:
            remove_remains(store, id)
    return Shard(number, lease, channels)


def load_channel(store: Store, id: str, position: int) -> Channel | None:
    """Read an endpoint and how it stands; none where it is no more.

    Args:
        store: where.
        id: the endpoint's.
        position: its shard's.
    """
    record, standing = store.get(ENDPOINT + id), store.get(STANDING + id)
    if record is None:
        return None
    try:
        stands = Standing.of(_LEVEL if standing is None else standing.value)
        return Channel(Endpoint.of(record.value), stands, position)
    except (KeyError, TypeError, ValueError):
        _log.exception("webhook %s is not as this version writes them; it is left alone", id)
        return None


def write(store: Store, snapshot: Snapshot, log: AttemptLog) -> None:
    """Write a snapshot.

    Raises:
        LeaseLost: another process serves the shard now; what was not written is sent again there.
        StoreUnavailable, OutcomeUnknown: not all of it was written.
    """
    listed = []
    try:
        for id, attempts in snapshot.attempts.items():
            listed += log.puts(id, attempts)
        # Not past what those that rely on it from now on have reached.
        before = min(snapshot.lease.value["position"], snapshot.position)
        # Letters first: what no longer waits must not be gone before its letter is there.
        # One for each key: an event may be given up twice, in its lane and as a replayed letter.
        every = [*{one.key: one for one in snapshot.letters}.values()]
        for first in range(0, len(every), _LETTERS):
            letters = every[first : first + _LETTERS]
            told = [snapshot.told[one.key] for one in letters if one.key in snapshot.told]
            kept = [Put(one.key, one.to_value()) for one in letters]
            _write(store, snapshot.lease, before, kept, told)
        puts = [Put(STANDING + id, value) for id, value in snapshot.standings.items()]
        chunks = list(_chunks(puts + listed))
        for chunk in chunks[:-1]:
            _write(store, snapshot.lease, before, chunk)
        _write(store, snapshot.lease, snapshot.position, chunks[-1])
    except BaseException:
        log.failed()
        raise
    for key in snapshot.gone:
        store.delete(key)
    log.written(listed)


def _write(
    store: Store, lease: Lease, position: int, puts: Sequence[Put], told: Sequence[Event] = ()
) -> None:
    # The count tells this write from the one before, should its outcome be unknown.
    value = {"position": position, "writes": lease.value.get("writes", 0) + 1}
    try:
        store.append(told, put=[*puts, lease.put(value)])
    except RevisionConflict:
        lease.forget()
        raise LeaseLost(lease.key) from None
    except OutcomeUnknown:
        pass  # `saved` finds out
    lease.saved(value)


def _lags(channel: Channel, settled: int, end: int, floor: int) -> bool:
    """Bring up to date how an endpoint stands; returns whether it has a position of its own."""
    standing = channel.standing
    standing.lagging = not channel.keeps_up(end) or settled < floor
    standing.progress.position = settled
    standing.failing_since = channel.health.failing_since
    return standing.lagging


def _chunks(puts: Sequence[Put]) -> Iterator[list[Put]]:
    """The writes in parts of bounded size; at least one part, which may be empty."""
    part: list[Put] = []
    size = 0
    for put in puts:
        this = len(encode_json(put.value).encode())
        if part and size + this > _CHUNK:
            yield part
            part, size = [], 0
        part.append(put)
        size += this
    yield part
