"""A small store with a bit of everything, and every question one can ask of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tidings.errors import TidingsError
from tidings.event import Event
from tidings.store.base import CORRELATION, Store
from tidings.store.query import Query
from tidings.store.sqlite import SQLiteStore

__all__ = ["AT_ONCE", "Answers", "answers", "batches", "fill"]

_EVENTS = 180
AT_ONCE = 20


class Answers(NamedTuple):
    """What a store says.

    Attributes:
        whole: to questions about the log itself, which are answered rightly or not at all.
        chosen: to questions that an index or a condition decides.
        problems: what `check` names.
    """

    whole: dict[str, Any]
    chosen: dict[str, Any]
    problems: list[str]


def batches() -> list[list[Event]]:
    """Events with all kinds of fields and sizes, as they are appended together."""
    random = Random(1)
    events = []
    for n in range(_EVENTS):
        fields: dict[str, Any] = {}
        if n % 3 == 0:
            fields |= {"aggregate_type": "agent", "aggregate_id": f"a{n % 7}"}
        if n % 4 == 0:
            fields |= {"correlation_id": f"wf-{n % 5}", "causation_id": f"c{n % 11}"}
        if n % 9 == 0:
            fields["id"] = f"foreign-{n}"
        status = "failure" if n % 10 == 0 else "success"
        payload = {"n": n, "text": "x" * random.choice((3, 40, 300, 6_000 if n % 50 == 0 else 30))}
        events.append(Event(f"t.{n % 6}", f"p{n % 3}", status, payload, **fields))
    return [events[start : start + AT_ONCE] for start in range(0, _EVENTS, AT_ONCE)]


def fill(store: Store) -> None:
    """Put all of it into a store."""
    for batch in batches():
        store.append(batch)
    for n in range(6):
        store.put(f"key/{n}", {"value": n})


def answers(path: str) -> Answers:
    """Open a store and ask it everything; an answer may be a `TidingsError`."""
    with SQLiteStore(path, deadline=0.2) as store:
        whole = {name: _answer(ask) for name, ask in _about_the_log(store).items()}
        chosen = {name: _answer(ask) for name, ask in _about_some(store).items()}
        return Answers(whole, chosen, store.check())


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except TidingsError as error:
        return error


def _about_the_log(store: Store) -> dict[str, Callable[[], Any]]:
    return {
        "all": lambda: _read(store),
        "backwards": lambda: _read(store, backwards=True),
        "a part": lambda: _read(store, after=70, limit=30),
        "a part backwards": lambda: _read(store, before=120, limit=30, backwards=True),
        "latest": lambda: _dict(store.latest()),
        "latest of a type": lambda: _dict(store.latest("t.3")),
        "head": store.head,
        "first": store.first,
        "types": store.types,
        "count": lambda: store.count(Query()),
        "count of a type": lambda: store.count(Query(types="t.2")),
    }


def _about_some(store: Store) -> dict[str, Callable[[], Any]]:
    return {
        "a type": lambda: _read(store, types="t.3"),
        "types": lambda: _read(store, types=["t.1", "t.2"]),
        "a pattern": lambda: _read(store, types="t.*"),
        "a project": lambda: _read(store, project="p1"),
        "failures": lambda: _read(store, status="failure"),
        "a source": lambda: _read(store, source="local"),
        "an aggregate": lambda: _read(store, aggregate_type="agent", aggregate_id="a3"),
        "a kind of aggregate": lambda: _read(store, aggregate_type="agent"),
        "a correlation": lambda: _read(store, correlation_id="wf-0"),
        "a cause": lambda: _read(store, causation_id="c4"),
        "ids": lambda: _read(store, ids=["foreign-9", "foreign-90"]),
        "a text": lambda: _read(store, contains="xxxxx"),
        "a payload": lambda: _read(store, payload={"n": 77}),
        "count of a project": lambda: store.count(Query(project="p1")),
        "agents": lambda: store.summaries("agent", Query()),
        "correlations": lambda: store.summaries(CORRELATION, Query()),
        "histogram": lambda: store.histogram(Query(), 10**12),
        "record": lambda: store.get("key/3"),
        "keys": lambda: store.keys("key/"),
    }


def _read(store: Store, **filters: Any) -> list[dict[str, Any]]:
    return [event.to_dict() for event in store.read(Query(**filters))]


def _dict(event: Event | None) -> dict[str, Any] | None:
    return None if event is None else event.to_dict()
