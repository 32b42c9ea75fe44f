"""A real PostgreSQL for the tests of its backend, and stores on it that nobody else sees."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.postgres import PostgresServer, shared_postgres
from tidings.store.postgres import PostgresStore
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_names = count()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresServer:
    """The server that all tests share which do not end it."""
    return shared_postgres(pytestconfig)


@pytest.fixture
def schema(postgres: PostgresServer) -> Iterator[str]:
    """The name of a schema that is not there yet; dropped after the test."""
    name = f"of_a_test_{next(_names)}"
    yield name
    postgres.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def role(postgres: PostgresServer, schema: str) -> Iterator[Callable[..., str]]:
    """Makes roles, dropped after the test with what they own; gives the store's URL for each."""
    made: list[str] = []

    def make(*settings: str, options: str = "", **in_url: Any) -> str:
        name = f"role_{len(made)}_{schema}"
        postgres.execute(f"CREATE ROLE {name} LOGIN {options}")
        made.append(name)
        for setting in settings:
            postgres.execute(f"ALTER ROLE {name} SET {setting}")
        return postgres.url(schema=schema, **in_url).replace("postgres@", f"{name}@")

    yield make
    for name in made:
        postgres.execute(f"DROP OWNED BY {name} CASCADE")
        postgres.execute(f"DROP ROLE {name}")


@pytest.fixture
def opened(
    postgres: PostgresServer,
    schema: str,
    role: object,  # noqa: ARG001 - roles can be dropped only after the stores were closed
) -> Iterator[Callable[..., PostgresStore]]:
    """Opens stores, by default all the same one; they are closed when the test ends."""
    stores: list[PostgresStore] = []

    def open_one(
        url: str | None = None, deadline: float = PATIENCE, **options: Any
    ) -> PostgresStore:
        url = url or postgres.url(**{"schema": schema, **options})
        stores.append(PostgresStore.from_url(url, deadline=deadline))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[..., PostgresStore]) -> PostgresStore:
    """An empty store."""
    return opened()
