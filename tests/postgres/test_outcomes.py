"""A commit whose connection breaks is found out, by id, and never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import psycopg
import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.cut_line import CutLine
from tests.postgres.sessions import OPEN, gate, wait_until, waiting_for_locks
from tidings.errors import OutcomeUnknown, RevisionConflict, VersionConflict
from tidings.event import Event
from tidings.store.base import Batch, Put
from tidings.store.postgres import PostgresStore, connections, writing
from tidings.store.postgres.dialing import Line
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a1"}


@pytest.fixture
def line(postgres: PostgresServer) -> Iterator[CutLine]:
    """A line to the server."""
    opened = CutLine(postgres.port)
    yield opened
    opened.close()


@pytest.fixture
def far(
    line: CutLine,
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
) -> PostgresStore:
    """The store, at the other end of the line; it has one event already."""
    store.append([Event("first", **ABOUT)])
    return opened(postgres.url(port=line.port, schema=schema))


@pytest.fixture
def when_cut(
    far: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Has something done when the far store's line was cut, before it finds out what became."""
    drop = far._connections.drop_writer

    def has_done(something: Callable[[], object]) -> None:
        def drop_and_do() -> None:
            drop()
            monkeypatch.setattr(far._connections, "drop_writer", drop)
            something()

        monkeypatch.setattr(far._connections, "drop_writer", drop_and_do)

    return has_done


@pytest.mark.parametrize("side", ["cut_before", "cut_after"])
def test_an_append_is_kept_once(line: CutLine, far: PostgresStore, side: str) -> None:
    """Whichever side of the commit the line is cut at, the caller gets its events, kept once."""
    setattr(line, side, 1)
    stored = far.append([Event("x"), Event("y", **ABOUT)], put=[Put("k", 1)])
    assert [(event.position, event.version) for event in stored] == [(2, None), (3, 2)]
    assert (line.cut_before, line.cut_after) == (0, 0)
    assert line.connections == 2
    assert [event.type for event in far.read(Query())] == ["first", "x", "y"]
    assert far.check() == []


@pytest.mark.parametrize("side", ["cut_before", "cut_after"])
def test_each_batch_keeps_its_result(line: CutLine, far: PostgresStore, side: str) -> None:
    """What was decided for each batch holds, refusals too; what was kept is not decided anew."""
    setattr(line, side, 1)
    results = far.append_all(
        [
            Batch([Event("x", **ABOUT)], expected_version=1),
            Batch([Event("y", **ABOUT)], expected_version=1),
            Batch([], put=[Put("k", 1, expected=0)]),
        ]
    )
    assert [type(result) for result in results] == [list, VersionConflict, list]
    assert (far.head(), far.keys()) == (2, ["k"])


_WAYS_TO_PUT: dict[str, Callable[[PostgresStore], object]] = {
    "alone": lambda store: store.put("k", "mine", expected=0),
    "in a batch": lambda store: store.append_all([Batch([], put=[Put("k", "mine", expected=0)])]),
}


@pytest.mark.parametrize("how", _WAYS_TO_PUT)
@pytest.mark.parametrize("side", ["cut_before", "cut_after"])
def test_a_ledger_write_is_done_once(
    line: CutLine, far: PostgresStore, side: str, how: str
) -> None:
    """A compare-and-set says the truth about its own write, and is not refused because of it."""
    setattr(line, side, 1)
    assert _WAYS_TO_PUT[how](far) in (1, [[]])
    found = far.get("k")
    assert found is not None
    assert (found.revision, found.value) == (1, "mine")
    with pytest.raises(RevisionConflict):
        far.put("k", "other", expected=0)


@pytest.mark.parametrize("side", ["cut_before", "cut_after"])
def test_a_removal_is_done_once(
    line: CutLine, far: PostgresStore, store: PostgresStore, side: str
) -> None:
    """A removal says that the record was there, although it looks twice."""
    revision = store.put("k", 1)
    setattr(line, side, 1)
    assert far.delete("k", expected=revision)
    assert store.keys() == []


def test_what_others_wrote_meanwhile_does_not_hide_an_event(
    line: CutLine,
    far: PostgresStore,
    store: PostgresStore,
    when_cut: Callable[[Callable[[], object]], None],
) -> None:
    """Events are known by their ids, so it does not matter that the store has moved on since."""
    line.cut_after = 1
    when_cut(lambda: store.append([Event("other")], put=[Put("k", 1)]))
    (stored,) = far.append([Event("x")], put=[Put("mine", 1, expected=0)])
    assert [event.type for event in far.read(Query())] == ["first", "x", "other"]
    assert stored.position == 2


@pytest.mark.parametrize("how", _WAYS_TO_PUT)
def test_a_ledger_write_that_others_hide_is_unknown(
    line: CutLine,
    far: PostgresStore,
    store: PostgresStore,
    when_cut: Callable[[Callable[[], object]], None],
    how: str,
) -> None:
    """Where others wrote records since, nobody can tell any more, and that is what is said."""
    line.cut_after = 1
    when_cut(lambda: store.put("k", "other"))
    with pytest.raises(OutcomeUnknown, match="in the middle of a commit"):
        _WAYS_TO_PUT[how](far)


@pytest.mark.parametrize("what", ["pruned", "redacted"])
def test_an_event_that_others_changed_is_unknown(
    line: CutLine,
    far: PostgresStore,
    store: PostgresStore,
    when_cut: Callable[[Callable[[], object]], None],
    what: str,
) -> None:
    """Where it stood is nothing, or another checksum; that says neither yes nor no."""

    def change() -> None:
        store.append([Event("other")])
        store.prune(2) if what == "pruned" else store.redact(Query(types="x"))

    line.cut_after = 1
    when_cut(change)
    with pytest.raises(OutcomeUnknown, match="in the middle of a commit"):
        far.append([Event("x", payload={"n": 1})], put=[Put("k", 1, expected=0)])


def test_the_same_event_of_another_is_not_taken_for_ours(
    line: CutLine,
    far: PostgresStore,
    store: PostgresStore,
    when_cut: Callable[[Callable[[], object]], None],
) -> None:
    """An id that another writer kept meanwhile, where ours was to stand, proves nothing of ours."""
    event = Event("x")
    line.cut_before = 1
    when_cut(lambda: store.append([event]))
    with pytest.raises(OutcomeUnknown, match="same ids"):
        far.append([event], put=[Put("k", 1, expected=0)])
    assert far.get("k") is None
    assert far.append([event], put=[Put("k", 1, expected=0)])[0].position == 2


def test_who_finds_out_may_be_cut_off_too(line: CutLine, far: PostgresStore) -> None:
    """The question is asked again, on one more connection."""
    line.cut_after = 2
    assert far.append([Event("x")])[0].position == 2
    assert (line.cut_after, line.connections, far.head()) == (0, 3, 2)


def test_what_cannot_be_found_out_is_unknown(
    line: CutLine,
    postgres: PostgresServer,
    schema: str,
    far: PostgresStore,
    opened: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the server out of reach the outcome is unknown; the same ids sent again do no harm."""
    other = opened(postgres.url(port=line.port, schema=schema))
    # So that the first attempt to find out is the last, and need not hurry.
    monkeypatch.setattr(connections, "_PAUSES", (PATIENCE,))
    line.cut_after = 1
    drop = other._connections.drop_writer

    def drop_and_refuse() -> None:
        line.refusing = True
        drop()

    monkeypatch.setattr(other._connections, "drop_writer", drop_and_refuse)
    event = Event("x")
    with pytest.raises(OutcomeUnknown, match="same ids"):
        other.append([event])
    line.refusing = False
    (stored,) = far.append([event])
    assert (stored.position, far.head()) == (2, 2)


def test_a_refusal_stands_though_the_line_is_cut(line: CutLine, far: PostgresStore) -> None:
    """What was decided under the lock is told, whatever becomes of the connection then."""
    line.cut_before = 1
    with pytest.raises(RevisionConflict):
        far.put("k", "mine", expected=7)
    assert (line.cut_before, far.keys()) == (0, [])


_SESSION_AT_GATE = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"


@pytest.mark.parametrize("end", ["is done", "is ended"])
def test_a_commit_whose_client_is_gone_is_waited_for(
    line: CutLine, far: PostgresStore, postgres: PostgresServer, schema: str, end: str
) -> None:
    """The server goes on with a commit whose client is gone; what comes of it is awaited."""
    event = Event("slow", **ABOUT)
    with gate(postgres, schema, "commit") as keeper, ThreadPoolExecutor(1) as pool:
        appended = pool.submit(far.append_all, [Batch([event], expected_version=1)])
        wait_until(lambda: waiting_for_locks(postgres) == 1)
        line.cut()
        # The broken session still waits at the gate, and who finds out waits for the store's lock.
        wait_until(lambda: waiting_for_locks(postgres) == 2)
        assert not appended.done()
        if end == "is ended":
            ((session,),) = postgres.execute(_SESSION_AT_GATE)
            postgres.execute("SELECT pg_terminate_backend(%s)", session)
            # It was not kept, so it is written again, and waits at the gate again.
            wait_until(lambda: postgres.execute(_SESSION_AT_GATE) not in ([], [(session,)]))
        keeper.execute(OPEN)
        (result,) = appended.result(PATIENCE)
    assert isinstance(result, list)
    (stored,) = result
    assert (stored.id, stored.position, stored.version) == (event.id, 2, 2)
    assert line.connections == 2
    assert [kept.id for kept in far.read(Query(types="slow"))] == [event.id]
    assert far.check() == []


def test_a_commit_that_outlasts_the_deadline_is_unknown(
    line: CutLine,
    postgres: PostgresServer,
    schema: str,
    far: PostgresStore,
    opened: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever does not live to see the commit end says so; it may be kept yet, and then once."""
    hasty = opened(postgres.url(port=line.port, schema=schema))
    commit: Any = writing._committed
    wait = Line.wait

    def commit_in_haste(*given: Any) -> Any:
        hasty._connections.deadline = 1.0
        return commit(*given[:-1], monotonic())

    def wait_at_least_for_the_gate(line: Line, *given: Any) -> Any:
        while True:
            try:
                return wait(line, *given)
            except psycopg.OperationalError:
                if line.closed or waiting_for_locks(postgres):
                    raise

    event = Event("slow", **ABOUT)
    with gate(postgres, schema, "commit") as keeper:
        # No line is cut: no answer in time is as good as none.
        with monkeypatch.context() as patched:
            patched.setattr(writing, "_committed", commit_in_haste)
            patched.setattr(Line, "wait", wait_at_least_for_the_gate)
            with pytest.raises(OutcomeUnknown, match="same ids"):
                hasty.append([event])
        wait_until(lambda: waiting_for_locks(postgres) == 1)
        assert far.head() == 1
        keeper.execute(OPEN)
        assert far.append([event])[0].position == 2
    assert (far.head(), far.check()) == (2, [])
