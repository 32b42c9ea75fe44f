"""What the URL of a PostgreSQL store says, and what is shown of it."""

from __future__ import annotations

import pytest

from tests.engines.postgres import PostgresServer
from tidings.errors import InvalidSetting, NotAllowed, StoreUnavailable
from tidings.store import open_store
from tidings.store.postgres.address import Address
from tidings.testing.elsewhere import PATIENCE


def test_our_own_options_are_taken_out() -> None:
    """The driver hears of its own options only."""
    url = "postgresql://me@db:5433/events?schema=a%20b&sslmode=disable&durability=process&pool=3"
    address = Address.from_url(url)
    assert (address.schema, address.durability, address.pool) == ("a b", "process", 3)
    assert address.parameters["sslmode"] == "disable"
    assert not {"schema", "durability", "pool"} & address.parameters.keys()
    assert Address.from_url(address.url) == address


def test_a_question_mark_may_stand_in_a_password() -> None:
    """What stands behind it is the rest of the password, and no option."""
    address = Address.from_url("postgresql://me:what?pool=3&x@db/events?pool=4")
    assert (address.parameters["password"], address.parameters["host"]) == ("what?pool=3&x", "db")
    assert (address.pool, address.url) == (4, "postgresql://me@db/events?pool=4")


def test_without_options_there_are_defaults() -> None:
    """The schema is `tidings`, and what is acknowledged survives a power cut."""
    address = Address.from_url("postgresql:///events")
    assert (address.schema, address.durability) == ("tidings", "power")
    assert "target_session_attrs" not in address.parameters


def test_of_several_hosts_the_one_that_writes_is_meant() -> None:
    """A URL with several hosts goes to the primary, unless it says otherwise."""
    url = "postgresql://one:5432,[::1]:5433,three/events"
    address = Address.from_url(url)
    assert address.parameters["target_session_attrs"] == "read-write"
    assert address.parameters["host"] == "one,::1,three"
    assert Address.from_url(address.url) == address
    asked = Address.from_url(f"{url}?target_session_attrs=any")
    assert asked.parameters["target_session_attrs"] == "any"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db/events",
        "postgres://me:hunt%65r2@db/events?sslmode=disable",
        "postgresql://me@db/events?password=hunter2",
        "postgresql://me@db/events?sslpassword=hunter2&schema=x",
    ],
)
def test_a_password_is_not_shown(url: str) -> None:
    """Neither the store's URL nor its repr has it, and libpq does."""
    with open_store(url) as store:
        assert "hunter2" not in store.url + repr(store)
        assert "me@db" in store.url
    assert "hunter2" in Address.from_url(url).parameters.values()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db:port/events",
        "postgresql://me:hunter2@[db/events",
        "postgresql://me:hunter2@db/events?sslmod=disable",
        "postgresql://me:hunter2/@db/events",
        "postgresql://me:1/x?hunter2@db/events",
        "postgresql://me:1/x?hunter2=x@db/events",
        "postgresql://me:hunter2@db/events?schema=pg_mine",
        "postgresql://me:hunter2@db/events?schema=",
        "postgresql://me:hunter2@db/events?schema=" + "x" * 64,
        "postgresql://me:hunter2@db/events?schema=a%25b",
        "postgresql://me:hunter2@db/events?schema=a%00b",
        "postgresql://me:hunter2@db/events?durability=none",
        "postgresql://me:hunter2@db/events?pool=0",
        "postgresql://me:hunter2@db/events?pool=many",
    ],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    """The error says what is wrong, and shows no password."""
    with pytest.raises(InvalidSetting, match="PostgreSQL URL") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_option_is_named() -> None:
    """A misspelt option of libpq is told by its name."""
    with pytest.raises(InvalidSetting, match="sslmod"):
        open_store("postgresql://db/events?sslmod=disable")


def test_who_is_not_let_in_is_told_without_the_password(postgres: PostgresServer) -> None:
    """A role that is not there, or a database that is not there, is told at once and by name."""
    url = postgres.url().replace("postgres@", "nobody:hunter2@")
    with (
        open_store(url, deadline=PATIENCE) as store,
        pytest.raises(NotAllowed, match="nobody") as caught,
    ):
        store.head()
    assert "hunter2" not in str(caught.value)
    with (
        open_store(postgres.url("missing"), deadline=PATIENCE) as store,
        pytest.raises(StoreUnavailable, match="createdb"),
    ):
        store.head()
