"""Prune, redact, back up, describe: beside others, with few rights, and when something breaks."""

from __future__ import annotations

import random
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.engines.postgres import PostgresServer
from tests.postgres.sessions import end_who_waits_for
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.store import open_store
from tidings.store.base import CORRELATION
from tidings.store.postgres import PostgresStore, upkeep
from tidings.store.postgres.dialing import Line
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECRET = "hunter2 and no other"  # noqa: S105 - it is what the tests look for
_ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a1"}


# Prune --------------------------------------------------------------------------------------------


def test_pruning_in_steps_beside_a_writer(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many transactions it takes, each leaves a sound store, and writers come between."""
    monkeypatch.setattr(upkeep, "_PRUNED_AT_ONCE", 7)
    store.append([Event("a" if n % 2 else "b", correlation_id=f"w{n % 9}") for n in range(300)])

    def prune() -> int:
        return store.prune(250)

    def write() -> int:
        return sum(len(store.append([Event("c", correlation_id="w1")])) for _ in range(50))

    def check() -> int:
        while store.first() < 251:
            assert store.check() == []
        return 0

    assert in_threads(prune, write, check) == [250, 50, 0]
    assert ((store.first(), store.head()), store.check()) == ((251, 350), [])
    assert len(store.summaries(CORRELATION, Query())) == 9


def test_holes_are_passed_over_at_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pruning costs what there is, however far apart restored events stand."""
    place = {"recorded_at": "2026-01-01T00:00:00Z"}
    places = (1, 10**9, 10**9 + 1, 10**15)
    store.restore([Event.from_dict({"type": "x", "position": n, **place}) for n in places])
    execute, begun = Line.execute, []

    def noting(line: Line, query: Any, *values: Any, **options: Any) -> Any:
        begun.extend([query] if query.startswith("BEGIN") else [])
        return execute(line, query, *values, **options)

    monkeypatch.setattr(Line, "execute", noting)
    assert store.prune(10**12) == 3
    assert len(begun) <= 5
    assert (store.first(), store.check()) == (10**12 + 1, [])
    assert store.append([Event("y")])[0].position == 10**15 + 1


# Redact -------------------------------------------------------------------------------------------


def test_what_is_redacted_is_vacuumed(
    store: PostgresStore, postgres: PostgresServer, schema: str
) -> None:
    """The rows that held it are cleared away, and after VACUUM FULL no file of the store has it."""
    large = random.Random(1).randbytes(6000).hex()  # kept beside the table, and not compressed
    store.append([Event("x", payload={"n": n, "token": _SECRET}) for n in range(19)])
    store.append([Event("x", payload={"token": _SECRET, "large": large})])
    store.append([Event("x", payload={"n": n}) for n in range(100)])
    assert len(_files_with(_SECRET, postgres, schema)) == 2
    assert store.redact(Query(contains=_SECRET)) == 20
    vacuums = "SELECT vacuum_count FROM pg_stat_user_tables WHERE relid = '{}.events'::regclass"
    assert postgres.execute(vacuums.format(schema)) == [(1,)]
    postgres.execute(f"VACUUM FULL {schema}.events")
    assert _files_with(_SECRET, postgres, schema) == []
    assert store.check() == []


def test_a_vacuum_that_fails_is_told(
    postgres: PostgresServer, schema: str, opened: Callable[..., PostgresStore]
) -> None:
    """What was redacted stays redacted, and whoever asked knows that old rows are still there."""
    store = opened(options="-c%20lock_timeout%3D100")
    store.append([Event("x", payload={"token": _SECRET})])
    with psycopg.connect(postgres.url()) as other:
        # As another VACUUM does it that takes its time.
        other.execute(f"LOCK TABLE {schema}.events IN SHARE UPDATE EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="are redacted, but"):
            store.redact(Query())
    assert [event.redacted for event in store.read(Query())] == [True]
    assert store.redact(Query()) == 0


def _files_with(text: str, postgres: PostgresServer, schema: str) -> list[str]:
    """The files of a schema's tables in which a text stands."""
    postgres.execute("CHECKPOINT")
    tables = postgres.execute(
        "SELECT pg_relation_filepath(oid), pg_relation_filepath(nullif(reltoastrelid, 0)) "  # noqa: S608 - a name of ours
        f"FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'i')"
    )
    files = [Path(postgres._data, file) for table in tables for file in table if file is not None]
    return [str(file) for file in files if text.encode() in file.read_bytes()]


# Rights -------------------------------------------------------------------------------------------


@pytest.fixture
def as_role(
    store: PostgresStore,
    postgres: PostgresServer,
    schema: str,
    opened: Callable[..., PostgresStore],
) -> Iterator[Callable[[str], PostgresStore]]:
    """Opens the store as a new role that has these rights on its tables, and owns nothing."""
    role = f"role_of_{schema}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    assert store.head() == 0

    def open_one(rights: str) -> PostgresStore:
        postgres.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        postgres.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {role}")
        return opened(postgres.url(schema=schema).replace("postgres@", f"{role}@", 1))

    yield open_one
    postgres.execute(f"DROP OWNED BY {role}")
    postgres.execute(f"DROP ROLE {role}")


def test_a_role_needs_rights_on_the_rows_only(
    as_role: Callable[[str], PostgresStore], tmp_path: Path
) -> None:
    """Who may read and change rows may do all that a store can, and make no schema or table."""
    store = as_role("SELECT, INSERT, UPDATE, DELETE")
    store.append([Event("x", payload={"n": n}, **_ABOUT) for n in range(5)])
    store.put("key", 1)
    assert (store.redact(Query(before=2)), store.prune(2), store.wait(0)) == (1, 2, 5)
    store.backup(str(tmp_path / "copy.db"))
    assert (store.delete("key"), store.check(), store.describe()["head"]) == (True, [], 5)


def test_a_role_may_only_read(
    store: PostgresStore, as_role: Callable[[str], PostgresStore], tmp_path: Path
) -> None:
    """Who may only read can follow and back up; a write is refused, and says why."""
    reader = as_role("SELECT")
    store.append([Event("x")])
    assert [event.type for event in reader.read(Query())] == ["x"]
    reader.backup(str(tmp_path / "copy.db"))
    assert (reader.wait(0), reader.types(), reader.check()) == (1, [("x", 1, 1)], [])
    with pytest.raises(StoreUnavailable, match="permission"):
        reader.append([Event("y")])


# Backup -------------------------------------------------------------------------------------------


def test_a_backup_has_what_no_event_tells(store: PostgresStore, tmp_path: Path) -> None:
    """Versions of aggregates whose events are gone, gaps and revisions go into the copy too."""
    store.append([Event("x", correlation_id="w", **_ABOUT) for _ in range(3)])
    store.put("é\U0001f418", {"%": "\x00"})
    store.put("gone", None)
    store.delete("gone")
    place = {"recorded_at": "2026-01-01T00:00:00Z"}
    store.restore([Event.from_dict({"type": "far", "position": n, **place}) for n in (6, 9)])
    store.prune(4)
    path = tmp_path / "new" / "copy.db"
    store.backup(str(path))
    assert [found.name for found in path.parent.iterdir()] == ["copy.db"]
    with open_store(f"sqlite:///{path}") as copy:
        assert copy.check() == []
        assert (copy.head(), copy.first(), copy.types()) == (9, 5, store.types())
        assert copy.remains() == store.remains() != []
        assert copy.get("é\U0001f418") == store.get("é\U0001f418")
        assert copy.put("new", 1) == store.put("new", 1)
        assert copy.append([Event("x", **_ABOUT)], expected_version=3)[0].position == 10


def test_a_backup_that_breaks_off_leaves_the_one_before(
    store: PostgresStore, postgres: PostgresServer, schema: str, tmp_path: Path
) -> None:
    """When the server ends the session in the middle, the file is the old one, and the only one."""
    path = tmp_path / "copy.db"
    store.append([Event("x")])
    store.backup(str(path))
    before = path.read_bytes()
    store.append([Event("y")])
    errors: list[Exception] = []

    def back_up() -> None:
        try:
            store.backup(str(path))
        except StoreUnavailable as error:
            errors.append(error)

    with psycopg.connect(postgres.url()) as other:
        other.execute(f"LOCK TABLE {schema}.ledger")  # the last that a backup reads
        thread = Thread(target=back_up)
        thread.start()
        end_who_waits_for(f"{schema}.ledger", other)
        thread.join(PATIENCE)
    assert [type(error) for error in errors] == [StoreUnavailable]
    assert (path.read_bytes() == before, [each.name for each in tmp_path.iterdir()]) == (
        True,
        ["copy.db"],
    )
    store.backup(str(path))
    with open_store(f"sqlite:///{path}") as copy:
        assert copy.head() == 2


# Describe -----------------------------------------------------------------------------------------


def test_a_store_describes_itself(
    store: PostgresStore, postgres: PostgresServer, schema: str
) -> None:
    """It tells which server it is, how large its tables are with all that belongs to them."""
    empty = store.describe()["size"]
    store.append([Event("x", payload={"text": "x" * 100}) for _ in range(1000)])
    told = store.describe()
    assert (told["head"], told["first"], told["schema"]) == (1000, 1, schema)
    assert told["engine"].startswith("PostgreSQL 18.")
    assert told["size"] > empty + 200_000
    ((whole,),) = postgres.execute("SELECT pg_database_size(current_database())")
    assert told["size"] < whole
