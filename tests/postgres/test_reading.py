"""Reading from PostgreSQL: byte for byte, beside who prunes and redacts, in no long snapshot."""

from __future__ import annotations

from itertools import pairwise
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.sessions import end_who_waits_for
from tidings.errors import HistoryPruned, StoreDamaged
from tidings.event import Event
from tidings.store.base import CORRELATION
from tidings.store.postgres import PostgresStore
from tidings.store.query import Filter, Query
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

_HOSTILE = [
    'it\'s "quoted"',
    "100 % of %s and %(name)s, %%",
    "back\\slash \\' \\N \\x00 \\u0000",
    "'; DROP TABLE events; --",
    "$1 $$ :name ? {schema}",
    "NULL",
    "null",
    "ä ß \ufb00 \u0130 é e\u0301",
    "\U0001d518\U0001d52b \U0001f418\u200f",
    "*",
]

_WORDS = ("source", "aggregate_id", "correlation_id", "causation_id", "user_id")


@pytest.mark.parametrize("text", _HOSTILE)
def test_hostile_text_comes_back_as_it_went(store: PostgresStore, text: str) -> None:
    """Every field and the payload are kept as they are, and are found by just that text."""
    payload = {text: [text, "\x00", "\U0001f418", 1.0, 1e308, -0.0, 10**30]}
    fields: dict[str, Any] = {
        "id": text,
        "source": text,
        "aggregate_type": text,
        "aggregate_id": text,
        "correlation_id": text,
        "causation_id": text,
        "user_id": text,
        "context": {text: text},
        "extensions": {text: "\x00"},
    }
    event = Event(text, text, payload=payload, **fields)
    (kept,) = store.append([event, Event("other", "other")])[:1]
    assert kept.record[1:-2] == (*event.record[1:11], 1, *event.record[12:-2])
    asked: list[dict[str, Any]] = [
        {"types": [text]},
        {"ids": text},
        {"project": text},
        {"payload": {text: payload[text]}},
        *({name: text} for name in fields if name in _WORDS),
    ]
    for conditions in asked:
        found = list(store.read(Query(limit=1, **conditions)))
        assert [each.record for each in found] == [kept.record], conditions
    assert store.latest(text) == kept
    assert store.summaries(text, Query(aggregate_id=text, project=text))[0].id == text
    assert store.summaries(CORRELATION, Query(correlation_id=text))[0].id == text
    (excluded,) = store.read(Query(exclude=Filter(project=text)))
    assert excluded.type == "other"
    assert store.check() == []


def test_what_no_event_can_have_is_found_nowhere(store: PostgresStore) -> None:
    """PostgreSQL keeps no NUL, and a question with one has the answer every backend gives."""
    store.append([Event("x", "p", aggregate_type="t", aggregate_id="a", correlation_id="w")])
    for name in ("ids", "types", "project", "status", "source", "user_id", "aggregate_id"):
        asked: dict[str, Any] = {name: "x\0"}
        assert list(store.read(Query(**asked))) == [], name
        assert len(list(store.read(Query(exclude=Filter(**asked))))) == 1, name
        assert store.count(Query(**asked)) == (0, True), name
    assert list(store.read(Query(types="x\0*"))) == []
    assert list(store.read(Query(types=["x\0*", *(f"t{n}*" for n in range(40))]))) == []
    assert [event.type for event in store.read(Query(types=["x", "\0"], project=["p", "\0"]))] == [
        "x"
    ]
    assert (store.latest("x\0"), store.summaries("t\0", Query())) == (None, [])
    assert store.summaries(CORRELATION, Query(correlation_id="w\0")) == []


def test_no_snapshot_is_held_while_a_reader_thinks(
    store: PostgresStore, postgres: PostgresServer
) -> None:
    """Between two pages nothing of the reader's is under way, so nothing is kept from a vacuum."""
    store.append([Event("x") for _ in range(300)])
    reading = store.read(Query(types="x"))
    assert next(reading).position == 1
    pids = ", ".join(str(line.info.backend_pid) for line in store._connections._all)
    states = postgres.execute(
        f"SELECT state, backend_xmin FROM pg_stat_activity WHERE pid IN ({pids})"  # noqa: S608 - numbers
    )
    assert set(states) == {("idle", None)}
    assert len(list(reading)) == 299


_ASKED: dict[str, tuple[str, Callable[[PostgresStore], object], object]] = {
    "read": ("events", lambda store: [event.position for event in store.read(Query())], [1, 2]),
    "latest": ("events", lambda store: store.latest("y"), None),
    "types": ("types", lambda store: store.types(), [("x", 2, 2)]),
}


@pytest.mark.parametrize("name", _ASKED)
def test_a_question_is_asked_again_when_its_session_ends(
    store: PostgresStore, postgres: PostgresServer, schema: str, name: str
) -> None:
    """A reader whose session is ended in the middle of a statement has its answer all the same."""
    table, ask, answer = _ASKED[name]
    store.append([Event("x"), Event("x")])

    def end() -> object:
        with psycopg.connect(postgres.url()) as other:
            other.execute(f"LOCK TABLE {schema}.{table}")
            locked.set()
            end_who_waits_for(f"{schema}.{table}", other)
        return None

    def look() -> object:
        assert locked.wait(PATIENCE)
        return ask(store)

    locked = Flag()
    assert in_threads(end, look) == [None, answer]


def test_readers_beside_one_who_prunes(store: PostgresStore) -> None:
    """A reading under which events go is without a gap, or says what went."""
    store.append([Event("a" if number % 3 else "b", f"p{number % 2}") for number in range(6000)])
    begun, done = Flag(), Flag()

    def prune() -> int:
        begun.wait(PATIENCE)
        try:
            return sum(store.prune(through) for through in range(250, 6000, 250))
        finally:
            done.set()

    def read(**query: Any) -> int:
        rounds = 0
        begun.set()
        while not done.is_set() or not rounds:
            rounds += 1
            seen = []
            try:
                for event in store.read(Query(**query)):
                    seen.append(event.position or 0)  # noqa: PERF401 - what came before counts
            except HistoryPruned:
                assert "backwards" not in query
            step = 3 if query.get("types") == "b" else 1
            # Every third event is of type b, and the others go by one position each.
            assert {abs(later - one) for one, later in pairwise(seen)} <= {step}
        return rounds

    in_threads(
        prune,
        read,
        lambda: read(types="b"),
        lambda: read(types=["a", "b"]),
        lambda: read(backwards=True),
    )
    assert (store.first(), store.check()) == (5751, [])


def test_readers_beside_one_who_redacts(store: PostgresStore) -> None:
    """Each event a reader is given is as it was or redacted, and whole in both cases."""
    store.append([Event("x", payload={"n": n, "secret": "s" * (n % 50)}) for n in range(3000)])
    done = Flag()

    def redact() -> int:
        try:
            return sum(store.redact(Query(after=n, before=n + 151)) for n in range(0, 3000, 150))
        finally:
            done.set()

    def read() -> int:
        while True:
            last = done.is_set()
            events = list(store.read(Query()))
            assert len(events) == 3000
            redacted = sum(event.payload is None and event.redacted for event in events)
            if last:
                return redacted

    assert in_threads(redact, read, read) == [3000, 3000, 3000]
    assert store.check() == []


_DAMAGES = {
    "DELETE FROM {}.events WHERE position = 7": "there are 19 events, and 20 were written",
    "UPDATE {}.events SET position = 70 WHERE position = 7": "positions 1 to 70",
    "UPDATE {}.events SET payload = '{{}}' WHERE position = 7": "position 7",
    "UPDATE {}.events SET type = 'z' WHERE position = 20": "type 'z'",
    "UPDATE {}.events SET version = 3 WHERE position = 9": "version 3",
    "UPDATE {}.summaries SET version = 9": "its summary says 9",
    "UPDATE {}.types SET count = count + 1": "counted as",
    "UPDATE {}.types SET last_position = 4 WHERE type = 'x'": "is said to stand last at 4",
    "DELETE FROM {}.types": "counted as 0",
    "DELETE FROM {}.summaries": "its summary says None",
    "UPDATE {}.head SET position = 100": "were written",
    "DELETE FROM {}.head": "own numbers",
    "INSERT INTO {0}.head SELECT * FROM {0}.head": "own numbers",
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_damage_is_named(
    store: PostgresStore, postgres: PostgresServer, schema: str, damage: str
) -> None:
    """`check` says in a sentence what somebody did to the tables."""
    store.append([Event("x", payload={"n": n}) for n in range(8)])
    store.append([Event("a", aggregate_type="t", aggregate_id="i") for _ in range(12)])
    assert store.check() == []
    postgres.execute(damage.format(schema))
    problems = store.check()
    assert any(_DAMAGES[damage] in problem for problem in problems), problems


_UNBELIEVED: dict[str, tuple[str, Callable[[PostgresStore], object]]] = {
    "a hole in the log": (
        "DELETE FROM {}.events WHERE position = 7",
        lambda store: list(store.read(Query())),
    ),
    "the newest gone": (
        "DELETE FROM {}.events WHERE position = 20",
        lambda store: store.latest(),
    ),
    "the newest of a type gone": (
        "DELETE FROM {}.events WHERE position = 20",
        lambda store: store.latest("x"),
    ),
    "the newest of another type": (
        "UPDATE {}.types SET last_position = 1",
        lambda store: store.latest("x") and store.types(),
    ),
    "another payload": (
        "UPDATE {}.events SET payload = '{{}}' WHERE position = 3",
        lambda store: [event.payload for event in store.read(Query())],
    ),
}


@pytest.mark.parametrize("name", _UNBELIEVED)
def test_damage_is_not_believed(
    store: PostgresStore, postgres: PostgresServer, schema: str, name: str
) -> None:
    """What was changed behind the store's back is told, and not given to readers."""
    damage, ask = _UNBELIEVED[name]
    store.append([Event("y"), *(Event("x", payload={"n": n}) for n in range(19))])
    postgres.execute(damage.format(schema))
    with pytest.raises(StoreDamaged, match=f"{schema}|position 3"):
        ask(store)


def test_gaps_of_restored_events_are_no_damage(store: PostgresStore) -> None:
    """Positions that restored events left out are missed by nobody, also once some are pruned."""
    place = {"recorded_at": "2026-01-01T00:00:00Z"}
    store.restore([Event.from_dict({"type": "x", "position": n, **place}) for n in (3, 4, 9)])
    store.append([Event("y")])
    assert [event.position for event in store.read(Query())] == [3, 4, 9, 10]
    assert (store.prune(5), store.check()) == (2, [])
    assert [event.position for event in store.read(Query(backwards=True))] == [10, 9]
    assert (store.prune(9), store.check()) == (1, [])
    assert [event.position for event in store.read(Query(after=9))] == [10]
