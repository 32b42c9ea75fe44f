"""A bus on a store of its own, and a time that is moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.subscriptions.by_hand import FaultyStore, Time
from tidings import Bus
from tidings.testing.elsewhere import PATIENCE


@pytest.fixture(autouse=True)
def _patient_stores(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store is given up because a thread or a process rested with its lock."""
    assert own_home.is_dir()  # asked for because it cleans the environment first
    monkeypatch.setenv("TIDINGS_DEADLINE", str(PATIENCE))


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    """An empty store."""
    return FaultyStore(str(tmp_path / "events.db"), durability="process")


@pytest.fixture
def bus(store: FaultyStore, tmp_path: Path) -> Iterator[Bus]:
    """A bus on it."""
    with Bus(store, spool=str(tmp_path / "spool")) as bus:
        yield bus


@pytest.fixture
def time() -> Time:
    """A clock that stands still until it is moved."""
    return Time()
