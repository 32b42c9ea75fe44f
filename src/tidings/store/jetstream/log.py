"""The log of a replicated store, kept by JetStream; what other threads see of it.

Keeps what `replicated.log` promises. A store has one connection a process, with one thread that
serves it; a forked child makes its own and leaves its parent's alone.
"""

from __future__ import annotations

import os
import weakref
from threading import Lock
from time import monotonic

from tidings.errors import OutcomeUnknown, StoreClosed
from tidings.store.jetstream.buffer import Buffer
from tidings.store.jetstream.connection import Connection
from tidings.store.jetstream.following import Following
from tidings.store.jetstream.loop import LoopThread
from tidings.store.jetstream.publishing import HEADERS_BYTES, publish
from tidings.store.jetstream.snapshots import Snapshots
from tidings.store.jetstream.stream import Stream, patiently
from tidings.store.replicated.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidings.errors import TidingsError
    from tidings.store.jetstream.address import Address
    from tidings.store.jetstream.connection import Line
    from tidings.store.jetstream.stream import StreamState
    from tidings.store.replicated.log import Entry

__all__ = ["JetStreamLog"]

_PATIENCE = 10.0
"""How long servers may take to answer what has no deadline (seconds)."""

_LONG = 60.0
_LAST_WORDS = 2.0
_MOST_BYTES = 8 << 20
"""Larger messages help nobody: servers warn of them."""


class JetStreamLog(Log):
    """A log that a stream of NATS JetStream keeps.

    Args:
        address: where it is.
        replica_path: the directory of this machine's replica.

    Nothing is asked of the servers before it is needed.

    Raises:
        InvalidSetting: what the URL says cannot be done here.
    """

    def __init__(self, address: Address, replica_path: str) -> None:
        address.ensure_usable()
        self.url = address.url
        self.durability = address.durability
        self.replica_path = replica_path
        self._address = address
        self._identity: str | None = None
        self._closed = False
        self._session: _Session | None = None
        self._opening = Lock()
        _logs.add(self)

    @property
    def most_bytes(self) -> int:  # type: ignore[override]  # known when a server has told it
        """The largest entry (bytes): what the servers and the stream take, less the headers."""
        session = self._open()
        if not session.connection.most_bytes:
            self._state(_PATIENCE)
        bounds = (session.connection.most_bytes, session.stream.most_bytes or _MOST_BYTES)
        return min(*bounds, _MOST_BYTES) - HEADERS_BYTES

    def identity(self) -> str:
        return self._state(_PATIENCE).identity

    def publish(self, entries: Sequence[tuple[str, bytes]], deadline: float) -> None:
        session = self._open()
        by = monotonic() + deadline
        work = publish(session.connection, session.stream, entries, by, self.url)
        session.loop.run(work, deadline, OutcomeUnknown)

    def read(self, after: int) -> list[Entry]:
        return self._open().buffer.take(after)

    def wait(self, after: int, timeout: float) -> bool:
        try:
            buffer = self._open().buffer
        except StoreClosed:
            return False
        return buffer.wait(after, timeout)

    def trouble(self) -> TidingsError | None:
        session = self._session
        return None if session is None else session.trouble()

    def head(self, deadline: float) -> int:
        return self._state(deadline).last

    def trim(self, through: int) -> None:
        session = self._open()

        async def ask(line: Line, left: float) -> bool:
            manager = line.client.jsm(timeout=left)
            name = session.stream.name
            asking = manager.purge_stream(name, seq=through + 1)
            return await line.ask(asking, left, f"$JS.API.STREAM.PURGE.{name}")

        by = monotonic() + _LONG
        session.loop.run(patiently(session.connection, ask, by, self.url), _LONG)
        session.buffer.drop_through(through)

    def put_snapshot(self, sequence: int, path: str) -> None:
        session = self._open()
        session.loop.run(session.snapshots.put(sequence, path), None)

    def fetch_snapshot(self, path: str) -> int | None:
        session = self._open()
        return session.loop.run(session.snapshots.fetch(path), None)

    def check(self) -> list[str]:
        state = self._state(_PATIENCE)
        session = self._open()
        problems = [
            f"the stream {session.stream.name}: {each}" for each in session.stream.unfit(state.info)
        ]
        problems += _damage(state)
        snapshot = session.loop.run(session.snapshots.newest(), None)
        kept = 0 if snapshot is None else snapshot.sequence
        if state.first > kept + 1:
            problems.append(
                f"the stream {session.stream.name} begins at entry {state.first}, and no snapshot "
                f"has what came before: a new machine cannot make its replica"
            )
        return problems

    def describe(self) -> dict[str, Any]:
        state = self._state(_PATIENCE)
        session = self._open()
        cluster = state.info.cluster
        return {
            "log": "NATS JetStream",
            "server": session.connection.server,
            "server_version": session.connection.version,
            "stream": session.stream.name,
            "leader": cluster.leader if cluster is not None and cluster.leader else None,
            "replicas": state.info.config.num_replicas or 1,
            "first_entry": state.first,
            "last_entry": state.last,
            "log_size": state.info.state.bytes,
        }

    def close(self) -> None:
        with self._opening:
            self._closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _state(self, deadline: float) -> StreamState:
        session = self._open()
        by = monotonic() + deadline
        work = patiently(session.connection, session.stream.state, by, self.url)
        state: StreamState = session.loop.run(work, deadline)
        self._identity = state.identity
        return state

    def _open(self) -> _Session:
        session = self._session
        if session is not None:
            return session
        with self._opening:
            if self._closed:
                raise StoreClosed(f"{self.url} is closed; open it again")
            if self._session is None:
                self._session = _Session(self._address, self._identity)
            return self._session

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent goes on with its thread and its connection."""
        self._opening = Lock()
        if self._session is not None:
            self._session.leave_to_parent()
            # Kept, because to let go of its loop would close what the parent uses.
            _left.append(self._session)
            self._session = None


class _Session:
    """What serves a store in one process: a thread with a loop, a connection, and what came.

    Args:
        address: the store's.
        identity: the stream's, if it is known.
    """

    def __init__(self, address: Address, identity: str | None) -> None:
        self.loop = LoopThread(f"tidings-jetstream-{address.name}")
        self.buffer = Buffer(self._wake)
        self.stream = Stream(address, identity)
        self._following: Following | None = None
        self.loop.run(self._start(address), None)

    async def _start(self, address: Address) -> None:
        self.connection = Connection(address)
        self.snapshots = Snapshots(self.connection, address)
        self._following = Following(self.connection, self.stream, self.buffer, address.url)

    def _wake(self) -> None:
        if self._following is not None:
            self.loop.call(self._following.wake)

    def trouble(self) -> TidingsError | None:
        """Why the stream cannot be followed just now; see `Following`."""
        return None if self._following is None else self._following.trouble

    def close(self) -> None:
        """Let go of everything; who waits goes on."""
        self.buffer.close()
        self.loop.close(self._end(), _LAST_WORDS)

    async def _end(self) -> None:
        if self._following is not None:
            await self._following.close()
        await self.connection.close()

    def leave_to_parent(self) -> None:
        """In a forked child: hold nothing open that the parent may want to close."""
        self.loop.abandon()
        nothing = os.open(os.devnull, os.O_RDWR)
        for socket in self.connection.sockets():
            os.dup2(nothing, socket.fileno())
        os.close(nothing)


def _damage(state: StreamState) -> list[str]:
    """What a stream says that it has lost."""
    found = state.info.state
    problems = []
    if found.num_deleted:
        problems.append(
            f"{found.num_deleted} entries are missing from the middle of the stream; machines that "
            f"had not read them have other events than those that had"
        )
    if found.lost is not None and found.lost.msgs:
        problems.append(f"the servers say that they have lost entries {found.lost.msgs}")
    cluster = state.info.cluster
    peers = (cluster.replicas or ()) if cluster is not None else ()
    return problems + [
        f"the server {peer.name} is {'away' if peer.offline else 'behind'}: the stream is on fewer "
        f"servers than it should be"
        for peer in peers
        if peer.offline or not peer.current
    ]


_logs: weakref.WeakSet[JetStreamLog] = weakref.WeakSet()
_left: list[_Session] = []


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
