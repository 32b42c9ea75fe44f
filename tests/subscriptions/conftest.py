"""A bus on a store of its own, and a time that is moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.subscriptions.by_hand import FaultyStore, Time
from tidings import Bus


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
