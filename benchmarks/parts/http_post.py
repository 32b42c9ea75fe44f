"""POST of one event by 64 clients, each event durable (SQLite, `synchronous=FULL`) when answered.

Measured against an endpoint that does nothing, on the same server software: what is left of its
rate is what finding the route, checking and keeping the event, and the answer leave. Each client
waits for its answer before it POSTs again; events are about a hundred agents in turn. Told beside
it: the same route as FastAPI, pydantic and one transaction a request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.load.wrk import Posts, ensure_wrk
from benchmarks.rounds import compare
from benchmarks.servers import reference_server, tidings_server
from benchmarks.workplace import Workplace
from tidings.store import open_store

_ROUNDS = 9
_CLIENTS = 64
_SECONDS = 2
_AGENTS = 100


def measure(workplace: Workplace) -> Iterator[Figure]:
    """Both routes that take one event, the endpoint that does nothing, and the plain route."""
    ensure_wrk()
    seconds = workplace.size(_SECONDS, 1)
    agent = Posts.of(workplace, [_agent_event(n) for n in range(_AGENTS)], _CLIENTS, seconds)
    event = Posts.of(workplace, [_event(n) for n in range(_AGENTS)], _CLIENTS, seconds)
    url = workplace.new_url("posted")
    with ExitStack() as started:
        ours = started.enter_context(tidings_server(workplace, url))
        nothing = started.enter_context(reference_server(workplace, "nothing"))
        plain = started.enter_context(reference_server(workplace, "plain_route"))
        things = {
            "agent": _answered(agent, f"{ours.url}/events/emit/agent"),
            "event": _answered(event, f"{ours.url}/events/"),
            "nothing": _answered(agent, f"{nothing.url}/events/emit/agent"),
            "plain": _answered(agent, f"{plain.url}/events/emit/agent"),
        }
        found = compare(things, workplace.rounds(_ROUNDS))
    _ensure_kept(url, found.seconds["agent"] + found.seconds["event"], seconds)
    for name, other, what, least in (
        ("agent", "nothing", "/events/emit/agent` : an endpoint that does nothing", 0.4),
        ("event", "nothing", "/events/` : an endpoint that does nothing", 0.4),
        ("agent", "plain", "/events/emit/agent` : FastAPI, pydantic, a transaction each", None),
    ):
        yield Figure(
            f"`POST {what}",
            found.faster(name, other),
            at_least=least,
            detail=f"{1 / found.median(name):,.0f}/s : {1 / found.median(other):,.0f}/s",
        )


def _agent_event(number: int) -> bytes:
    """What the seed's clients send."""
    event = {
        "name": "tool.completed",
        "aggregate_id": f"agent-{number}",
        "correlation_id": f"workflow-{sample.workflow_of(number)}",
        "attributes": {"agent_name": "searcher", "tool": "search", "tokens": 1200 + number},
    }
    return json.dumps(event).encode()


def _event(number: int) -> bytes:
    return json.dumps(sample.job_fields(number)).encode()


def _answered(posts: Posts, url: str) -> Callable[[], float]:
    """The seconds each POST takes, all clients together."""
    return lambda: 1 / posts.rate_at(url)


def _ensure_kept(url: str, seconds_each: list[float], seconds: int) -> None:
    """Make sure that what was answered was kept: none less than what was counted."""
    answered = sum(seconds / each for each in seconds_each)
    with open_store(url) as store:
        assert store.head() >= answered * 0.99, (store.head(), answered)
