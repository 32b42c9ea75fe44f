"""A spool and a store, both empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidings.spool import Spool
from tidings.store.memory import MemoryStore


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool that is not made yet."""
    return Spool(str(tmp_path / "deep" / "spool"))


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()
