"""Reading and streaming on PostgreSQL and on a replica, against SQLite.

The same events in each: read by `store.read`, payloads untouched, and caught up with by one client
of a server's live stream. A replica is a SQLite file, so it should be as fast; PostgreSQL's rows
come over a socket.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks import sample
from benchmarks.engines import nats, postgres
from benchmarks.figures import Figure
from benchmarks.rounds import compare
from benchmarks.servers import Server, tidings_server
from benchmarks.workplace import Workplace
from tidings.store import open_store
from tidings.store.base import Store
from tidings.store.query import Query

_ROUNDS = 7
_EVENTS = 200_000
_AT_ONCE = 1_000
_TARGETS = {"postgres": 0.5, "replica": 0.9}
_PIECE = 1 << 20


def measure(workplace: Workplace) -> Iterator[Figure]:
    """The three engines in turn, by `read` and by the stream."""
    size = workplace.size(_EVENTS, 10_000)
    with ExitStack() as started:
        engine = started.enter_context(postgres(workplace))
        broker = started.enter_context(nats(workplace))
        replica = os.path.join(workplace.new_directory("replica"), "replica")
        urls = {
            "sqlite": workplace.new_url("read"),
            "postgres": engine.url(engine.fresh_database()),
            "replica": f"{broker.url}/read?replica={replica}",
        }
        stores = {
            name: started.enter_context(open_store(url, deadline=60)) for name, url in urls.items()
        }
        for store in stores.values():
            _fill(store, size)
        servers = {
            name: started.enter_context(tidings_server(workplace, url))
            for name, url in urls.items()
        }
        for what, things in (
            ("store.read", {name: _reading(store, size) for name, store in stores.items()}),
            (
                "catching up by the stream",
                {name: _streaming(server, size) for name, server in servers.items()},
            ),
        ):
            found = compare(things, workplace.rounds(_ROUNDS))
            for name, least in _TARGETS.items():
                yield Figure(
                    f"{what}, {size:,} events, {name} : SQLite",
                    found.faster(name, "sqlite"),
                    at_least=least,
                    detail=f"{size / found.median(name):,.0f}/s : "
                    f"{size / found.median('sqlite'):,.0f}/s",
                )


def _fill(store: Store, size: int) -> None:
    for start in range(0, size, _AT_ONCE):
        store.append([sample.lifecycle_event(n) for n in range(start, start + _AT_ONCE)])


def _reading(store: Store, size: int) -> Callable[[], None]:
    def read() -> None:
        count = 0
        for _ in store.read(Query()):
            count += 1
        assert count == size, count

    return read


def _streaming(server: Server, size: int) -> Callable[[], None]:
    def stream() -> None:
        connection = server.connection()
        connection.request("GET", "/events/stream?after=0&until=head")
        answer = connection.getresponse()
        count, rest = 0, b""
        while piece := answer.read1(_PIECE):
            # A mark may be cut in two by where the pieces end.
            seen = rest + piece
            count += seen.count(b"\ndata:")
            rest = seen[-5:]
        connection.close()
        assert count == size, count

    return stream
