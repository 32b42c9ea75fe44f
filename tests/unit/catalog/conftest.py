"""A store of each embedded backend, for the tests of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidings.store import open_store
from tidings.store.base import Store


@pytest.fixture(params=["memory:", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A real store of each embedded backend."""
    url = "memory:" if request.param == "memory:" else f"sqlite:///{tmp_path / 'events.db'}"
    opened = open_store(url)
    yield opened
    opened.close()
