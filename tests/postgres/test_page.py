"""What the page about PostgreSQL tells to run in psql does what the page says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.docs.pages import DOCS
from tests.engines.postgres import PostgresServer
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.store.postgres import PostgresStore
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

_SQL = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def blocks(postgres: PostgresServer) -> Iterator[list[str]]:
    """The page's blocks; what they make is removed afterwards."""
    yield _SQL.findall((DOCS / "how-to" / "postgresql.md").read_text())
    postgres.execute("DROP DATABASE IF EXISTS tidings WITH (FORCE)")
    for role in ("tidings", "emitter", "reader"):
        postgres.execute(f"DROP ROLE IF EXISTS {role}")


def test_the_page_makes_a_store_and_its_roles(postgres: PostgresServer, blocks: list[str]) -> None:
    """The owner makes tables, the emitter changes rows, the reader reads, and files are clean."""
    set_up, rights, clean = blocks

    def run(block: str, database: str) -> None:
        with psycopg.connect(postgres.url(database), autocommit=True) as superuser:
            for statement in filter(str.strip, block.split(";")):
                superuser.execute(statement)

    def opened(role: str) -> PostgresStore:
        url = postgres.url("tidings").replace("postgres@", f"{role}@", 1)
        return PostgresStore.from_url(url, deadline=PATIENCE)

    run(set_up, "postgres")
    with opened("tidings") as owner:
        assert owner.head() == 0
        run(rights, "tidings")
        with opened("emitter") as emitter, opened("reader") as reader:
            emitter.append([Event("x", payload={"token": "secret"})])
            assert [event.type for event in reader.read(Query())] == ["x"]
            assert reader.wait(0) == 1
            with pytest.raises(StoreUnavailable):
                reader.append([Event("y")])
            assert owner.redact(Query()) == 1
            run(clean, "tidings")
            assert (reader.check(), reader.head()) == ([], 1)
