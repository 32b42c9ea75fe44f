"""A store and a receiver for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.delivery.notices.telling import Receiver
from tidings.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings.store.base import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with open_store(f"sqlite:///{tmp_path}/events.db?durability=process") as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who is told."""
    with Receiver() as started:
        yield started
