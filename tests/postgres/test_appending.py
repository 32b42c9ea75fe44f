"""Writers take turns: positions come in the order of commits, and readers miss none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.sessions import OPEN, gate, hurry, wait_until, waiting_for_locks
from tidings.errors import StoreLocked
from tidings.event import Event
from tidings.store.base import Batch, Put
from tidings.store.postgres import PostgresStore, transactions
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE


def test_a_later_writer_cannot_commit_first(
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
) -> None:
    """Who begins while another transaction is open gets no position before it, and shows none."""
    store.append([Event("before")])
    seen: list[tuple[int | None, str]] = []

    def read_on_once() -> None:
        position = seen[-1][0] if seen else 0
        seen.extend(
            (event.position, event.type) for event in store.read(Query(after=position or 0))
        )

    with gate(postgres, schema) as keeper, ThreadPoolExecutor(2) as pool:
        slow = pool.submit(opened().append, [Event("slow")])
        wait_until(lambda: waiting_for_locks(postgres) == 1)
        read_on_once()
        quick = pool.submit(opened().append, [Event("quick")])
        wait_until(lambda: waiting_for_locks(postgres) == 2)
        read_on_once()
        assert not quick.done()
        keeper.execute(OPEN)
        assert [place(slow), place(quick)] == [2, 3]
    read_on_once()
    assert seen == [(1, "before"), (2, "slow"), (3, "quick")]


def place(appended: Future[list[Event]]) -> int | None:
    """The position of what was appended."""
    return appended.result(PATIENCE)[0].position


def test_a_lock_is_waited_for_no_longer_than_the_deadline(
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    opened: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who meets a writer that does not come to an end is told so, and appends when it has ended."""
    store.head()
    hasty = opened()
    with gate(postgres, schema) as keeper, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(store.append, [Event("slow")])
        wait_until(lambda: waiting_for_locks(postgres) == 1)
        # The server waits for a small part of the deadline, so that it is the one that says no.
        monkeypatch.setattr(transactions, "_PATIENCE", 0.8 / PATIENCE)
        for write in (lambda: hasty.append([Event("x")]), lambda: hasty.put("k", 1)):
            with pytest.raises(StoreLocked, match=f"locked by others for {PATIENCE:g} s"):
                write()
        monkeypatch.undo()
        assert hasty.head() == 0
        keeper.execute(OPEN)
        assert place(slow) == 1
    assert hasty.append([Event("x")])[0].position == 2


def test_threads_of_one_process_wait_no_longer_either(
    opened: Callable[..., PostgresStore],
) -> None:
    """The one connection that writes is waited for as the lock is."""
    hasty = opened()
    with hasty._connections.transaction(), ThreadPoolExecutor(1) as pool:
        hurry(hasty)
        writing = pool.submit(hasty.append, [Event("x")])
        with pytest.raises(StoreLocked, match=r"other threads of this process wrote for 0\.3 s"):
            writing.result(PATIENCE)
    hasty._connections.deadline = PATIENCE
    assert hasty.append([Event("x")])[0].position == 1


# Under the role's timeout for statements a transaction begins, which takes a moment of a second.
@pytest.mark.parametrize(
    "setting",
    [
        "statement_timeout = '1s'",
        "lock_timeout = '20ms'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_isolation = 'repeatable read'",
        "enable_indexscan = off",
    ],
)
def test_settings_of_the_role_do_not_matter(
    postgres: PostgresServer,
    schema: str,
    store: PostgresStore,
    role: Callable[..., str],
    opened: Callable[..., PostgresStore],
    setting: str,
) -> None:
    """Whatever is set for the role, a slow writer is waited for and versions are right."""
    store.head()
    url = role(setting, options="SUPERUSER")
    about: dict[str, Any] = {"aggregate_type": "a", "aggregate_id": "1"}
    with gate(postgres, schema) as keeper, ThreadPoolExecutor(2) as pool:
        slow = pool.submit(opened(url).append, [Event("slow", **about)])
        wait_until(lambda: waiting_for_locks(postgres) == 1)
        late = pool.submit(opened(url).append, [Event("x", **about)])
        wait_until(lambda: waiting_for_locks(postgres) == 2)
        # Past the timeouts, so that they would have struck.
        keeper.execute("SELECT pg_sleep(%s)", (1.05 if "statement" in setting else 0.06,))
        keeper.execute(OPEN)
        stored = [*slow.result(PATIENCE), *late.result(PATIENCE)]
    assert [(event.position, event.version) for event in stored] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("durability", "usual", "expected"),
    [
        ("power", "off", "on"),
        ("power", "remote_apply", "remote_apply"),
        ("process", "on", "off"),
    ],
)
def test_what_is_acknowledged_survives_what_was_declared(
    role: Callable[..., str],
    opened: Callable[..., PostgresStore],
    durability: str,
    usual: str,
    expected: str,
) -> None:
    """A commit waits for the disk though the role would not, and for a standby where it would."""
    setting = f"synchronous_commit = {usual}"
    store = opened(role(setting, options="SUPERUSER", durability=durability))
    assert store.durability == durability
    with store._connections.transaction() as line:
        assert line.execute("SHOW synchronous_commit").fetchone() == (expected,)


def test_large_batches_go_in_parts(store: PostgresStore) -> None:
    """Thousands of events, large ones among them, are kept in one go and come back as they were."""
    events = [Event("x", payload={"n": n}) for n in range(2500)]
    events[7:30] = [Event("large", payload='é\\u0000"\\' * 80_000) for _ in range(23)]
    events[30] = Event("large", payload="\0" * 170_000)
    events += [Event("about", aggregate_type="a", aggregate_id=str(n)) for n in range(1200)]
    stored = store.append(events)
    assert [event.position for event in stored] == list(range(1, len(events) + 1))
    assert list(store.read(Query())) == stored
    assert store.check() == []


def test_many_ids_sent_again_are_decided_at_once(store: PostgresStore) -> None:
    """Batches of which every other event is there already are kept as if each had come alone."""
    old = [Event("x", aggregate_type="a", aggregate_id="1") for _ in range(200)]
    store.append(old)
    again = [Batch([one, Event("y")], put=[Put("k", n)]) for n, one in enumerate(old)]
    results = store.append_all(again)
    assert [[e.position for e in r] for r in results if isinstance(r, list)] == [
        [n + 1, 201 + n] for n in range(200)
    ]
    found = store.get("k")
    assert found is not None
    assert (found.value, found.revision) == (199, 200)
