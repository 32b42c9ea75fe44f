"""What goes wrong in PostgreSQL is told in our own words, changes nothing, and passes."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import psycopg
import pytest

from tests.engines.postgres import PostgresServer
from tidings.errors import StoreDamaged, StoreFull, StoreReadOnly, StoreUnavailable, TidingsError
from tidings.event import Event
from tidings.store.postgres import PostgresStore
from tidings.store.postgres.failures import translate
from tidings.store.query import Query

RAISE = {
    "53100": (StoreFull, "disk is full"),
    "53000": (StoreFull, "disk is full"),
    "25006": (StoreReadOnly, "takes no writes"),
    "57014": (StoreUnavailable, "statement_timeout"),
    "XX001": (StoreDamaged, "restore a backup"),
    "P0001": (StoreUnavailable, "SQLSTATE P0001"),
}


@pytest.mark.parametrize("code", RAISE)
@pytest.mark.parametrize("moment", ["insert", "commit"])
def test_an_error_of_the_server_takes_all_back(
    postgres: PostgresServer, schema: str, store: PostgresStore, code: str, moment: str
) -> None:
    """An error at an insert or at the commit keeps nothing, and the next append works.

    A full disk is pretended here: a trigger raises what PostgreSQL raises then. What it proves is
    what becomes of such an error, not when PostgreSQL raises it.
    """
    store.append([Event("first")])
    postgres.execute(
        f"CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '{code}'; END$$"
    )
    how = {
        "insert": "CREATE TRIGGER fail BEFORE INSERT ON {0}.events",
        "commit": "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON {0}.events "
        "DEFERRABLE INITIALLY DEFERRED",
    }
    trigger = how[moment].format(schema)
    postgres.execute(f"{trigger} FOR EACH ROW EXECUTE FUNCTION {schema}.fail()")
    kind, said = RAISE[code]
    event = Event("x")
    with pytest.raises(TidingsError, match=said) as caught:
        store.append([event, Event("y")])
    assert type(caught.value) is kind
    assert store.url in str(caught.value)
    postgres.execute(f"DROP TRIGGER fail ON {schema}.events")
    assert store.append([event])[0].position == 2
    assert [found.type for found in store.read(Query())] == ["first", "x"]
    assert store.check() == []


def test_a_role_that_may_not_write_is_told(
    store: PostgresStore, role: Callable[..., str], opened: Callable[..., PostgresStore]
) -> None:
    """A role set to read only is refused its appends, and may read."""
    store.append([Event("x")])
    careful = opened(role("default_transaction_read_only = on", options="SUPERUSER"))
    assert careful.head() == 1
    with pytest.raises(StoreReadOnly, match="takes no writes"):
        careful.append([Event("y")])
    with pytest.raises(StoreReadOnly, match="takes no writes"):
        careful.put("k", 1)
    assert [event.type for event in careful.read(Query())] == ["x"]


def test_every_error_can_be_pickled() -> None:
    """What a worker process raises reaches the one that asked."""
    error = translate(psycopg.errors.DiskFull("could not extend file"), "postgresql:///x", 1.0)
    assert type(error) is StoreFull
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
