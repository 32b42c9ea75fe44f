"""POST of one event by 64 clients to a server on PostgreSQL, each event durable when answered.

Measured against 64 writers that keep one event a transaction, each under the same lock, straight
in PostgreSQL and with no HTTP: what a bus library does that does not join what many ask for. Both
write to the same PostgreSQL, with its own defaults of durability.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing

from benchmarks import sample
from benchmarks.engines import postgres
from benchmarks.figures import Figure
from benchmarks.load.wrk import Posts, ensure_wrk
from benchmarks.references.one_each import OneEach
from benchmarks.rounds import compare
from benchmarks.servers import tidings_server
from benchmarks.workplace import Workplace
from tidings.store import open_store

_ROUNDS = 7
_CLIENTS = 64
_SECONDS = 3
_BODIES = 100


def measure(workplace: Workplace) -> Iterator[Figure]:
    """A server, and writers of one transaction an event, in turn."""
    ensure_wrk()
    seconds = workplace.size(_SECONDS, 1)
    bodies = [json.dumps(sample.job_fields(number)).encode() for number in range(_BODIES)]
    posts = Posts.of(workplace, bodies, _CLIENTS, seconds)
    with ExitStack() as started:
        engine = started.enter_context(postgres(workplace))
        url = engine.url(engine.fresh_database())
        server = started.enter_context(tidings_server(workplace, url))
        one_each = started.enter_context(
            closing(
                OneEach(engine.url(engine.fresh_database()), _CLIENTS, json.dumps(sample.PAYLOAD))
            )
        )
        things = {
            "ours": lambda: 1 / posts.rate_at(f"{server.url}/events/"),
            "one each": lambda: 1 / one_each.rate(seconds),
        }
        found = compare(things, workplace.rounds(_ROUNDS))
        answered = sum(seconds / each for each in found.seconds["ours"])
        with open_store(url) as store:
            assert store.head() >= answered * 0.99, (store.head(), answered)
    yield Figure(
        "PostgreSQL through the server, 64 clients : one transaction an event under the lock",
        found.faster("ours", "one each"),
        at_least=5,
        detail=f"{1 / found.median('ours'):,.0f}/s : {1 / found.median('one each'):,.0f}/s",
    )
