"""A server takes over what eventuali-api-server left in its data directory, once."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tests.transfer.events import kept
from tests.transfer.eventuali_files import add, agent, new_file, workflow
from tidings.errors import StoreUnavailable
from tidings.event import Event
from tidings.server.adopting import adopt
from tidings.server.application import create_app
from tidings.server.config import APIServerConfig
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.testing.elsewhere import in_threads


@pytest.fixture
def store() -> MemoryStore:
    """The store of a server."""
    return MemoryStore()


@pytest.fixture
def config(tmp_path: Path) -> APIServerConfig:
    """A server whose data directory holds two events of its forerunner."""
    new_file(tmp_path / "events.db", agent("agent.started"), workflow("workflow.started"))
    return APIServerConfig(data_dir=str(tmp_path))


def test_its_events_are_imported_once(store: MemoryStore, config: APIServerConfig) -> None:
    """Not again when the next server starts, also where some were pruned since."""
    assert adopt(config, store) == (2, 2, 0, 0, ())
    assert [event.type for event in kept(store)] == ["agent.started", "workflow.started"]
    store.prune(1)
    assert adopt(config, store) is None
    assert store.first() == 2


def test_a_file_that_was_written_to_since_is_looked_at_again(
    store: MemoryStore, config: APIServerConfig, tmp_path: Path
) -> None:
    """Who went back to the old server for a while has its events here too."""
    # Else both writes may come within one tick of the file system's clock.
    os.utime(tmp_path / "events.db", (0, 0))
    adopt(config, store)
    add(tmp_path / "events.db", agent("agent.completed", 2))
    assert adopt(config, store) == (3, 1, 2, 0, ())
    assert adopt(config, store) is None


def test_servers_that_start_at_once_repeat_nothing(config: APIServerConfig, tmp_path: Path) -> None:
    """Each may import it; each event is there once, and every one of them starts."""
    add(tmp_path / "events.db", *({} for _ in range(300)))

    def start() -> None:
        with open_store(config.store_url, deadline=60) as own:
            adopt(config, own)

    in_threads(start, start, start)
    with open_store(config.store_url, deadline=60) as store:
        events = kept(store)
        assert len(events) == len({event.id for event in events}) == 302
        assert adopt(config, store) is None


def test_without_a_data_directory_there_is_no_forerunner(store: MemoryStore) -> None:
    """The default store's `events.db` is Tidings' own; and none where a URL names the store."""
    assert adopt(APIServerConfig(), store) is None
    assert APIServerConfig(data_dir="d", url="memory:").forerunner is None


def test_a_file_of_another_kind_is_left_alone(store: MemoryStore, tmp_path: Path) -> None:
    """One of Tidings itself, in a home that is served as a data directory; nothing is said."""
    with open_store(f"sqlite:///{tmp_path}/events.db") as other:
        other.append([Event("a")])
    assert adopt(APIServerConfig(data_dir=str(tmp_path)), store) is None
    assert store.head() == 0


def test_rows_that_are_no_events_are_logged_once(
    config: APIServerConfig, tmp_path: Path, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """By number and reason; the server starts, and the next one does not say it again."""
    add(tmp_path / "events.db", {"timestamp": "yesterday"})
    adopted = adopt(config, store)
    assert adopted is not None
    assert adopted.rejected == 1
    assert "row 3 is no event: timestamp" in caplog.text
    assert adopt(config, store) is None


def test_what_cannot_be_imported_now_is_tried_again(
    config: APIServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is away is logged, keeps no server from starting, and is no "done"."""

    class Away(MemoryStore):
        away = True

        def append_all(self, batches: Any) -> Any:
            if self.away:
                raise StoreUnavailable("the store is away")
            return super().append_all(batches)

    store = Away()
    assert adopt(config, store) is None
    assert "the next start tries again: the store is away" in caplog.text
    store.away = False
    adopted = adopt(config, store)
    assert adopted is not None
    assert adopted.kept == 2


def test_an_app_under_any_server_takes_them_over(
    config: APIServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the first request, by its lifespan."""
    caplog.set_level(logging.INFO, "tidings.server")
    app = create_app(lambda: config)

    async def lived() -> int:
        async with app.router.lifespan_context(app):
            return app.service.store.head()

    assert asyncio.run(lived()) == 2
    assert "2 events imported" in caplog.text
