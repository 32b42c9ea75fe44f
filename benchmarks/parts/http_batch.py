"""POST of 1,000 events as NDJSON, against `Bus.emit_many` of 1,000 in one process.

One client POSTs a body, waits for the answer and POSTs the next, as one caller calls `emit_many`.
The server reads 1,000 lines of JSON and answers with 1,000 results; the bus is given events it
makes in that time, with the same fields and no context, which a server adds neither. Told beside
it: against `emit_many` of 1,000 dicts, and four clients that POST at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.rounds import compare
from benchmarks.servers import Server, tidings_server
from benchmarks.workplace import Workplace
from tidings.bus import Bus

_ROUNDS = 15
_CALLS = 8
_EVENTS = 1000
_CLIENTS = 4
_WARM_UP = 3


def measure(workplace: Workplace) -> Iterator[Figure]:
    """As many events by each way."""
    url = workplace.new_url("posted")
    with (
        tidings_server(workplace, url) as server,
        Bus(workplace.new_url("events"), context=False) as of_events,
        Bus(workplace.new_url("dicts"), context=False) as of_dicts,
        ThreadPoolExecutor(_CLIENTS) as pool,
    ):
        things = {
            "POST": _posting(server),
            "POST by four": _posting_together(server, pool),
            "emit_many": _emitting_events(of_events),
            "emit_many of dicts": _emitting_dicts(of_dicts),
        }
        found = compare(things, workplace.rounds(_ROUNDS), workplace.rounds(_WARM_UP))

    def rate(name: str) -> str:
        return f"{_CALLS * _EVENTS / found.median(name):,.0f}/s"

    for name, other, what, least in (
        ("POST", "emit_many", "`POST` of 1,000 events as NDJSON : `emit_many`", 0.6),
        ("POST", "emit_many of dicts", "the same `POST` : `emit_many` of 1,000 dicts", None),
        ("POST by four", "emit_many", "the same `POST` by four clients : `emit_many`", None),
    ):
        yield Figure(what, found.faster(name, other), least, detail=f"{rate(name)} : {rate(other)}")


def _posting(server: Server) -> Callable[[], None]:
    connection = server.connection()
    body = _body()

    def run() -> None:
        for _ in range(_CALLS):
            _post(connection, body)

    return run


def _posting_together(server: Server, pool: ThreadPoolExecutor) -> Callable[[], None]:
    connections = [server.connection() for _ in range(_CLIENTS)]
    body = _body()

    def posts(connection: HTTPConnection) -> None:
        for _ in range(_CALLS // _CLIENTS):
            _post(connection, body)

    return lambda: list(pool.map(posts, connections)).clear()


def _post(connection: HTTPConnection, body: bytes) -> None:
    connection.request("POST", "/events/", body, {"Content-Type": "application/x-ndjson"})
    response = connection.getresponse()
    answer = response.read()
    assert response.status < 300, answer
    assert answer.count(b'"position"') >= _EVENTS, answer[:1000]


def _body() -> bytes:
    return b"\n".join(json.dumps(sample.job_fields(number)).encode() for number in range(_EVENTS))


def _emitting_events(bus: Bus) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_CALLS):
            bus.emit_many(
                bus.event(sample.TYPE, sample.PROJECT, payload=sample.PAYLOAD)
                for _ in range(_EVENTS)
            )

    return run


def _emitting_dicts(bus: Bus) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_CALLS):
            bus.emit_many(sample.job_fields(number) for number in range(_EVENTS))

    return run
