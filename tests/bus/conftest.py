"""What holds for every test of the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _patient_stores(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store is given up because a thread or a process rested with its lock."""
    assert own_home.is_dir()  # asked for because it cleans the environment first
    monkeypatch.setenv("TIDINGS_DEADLINE", str(PATIENCE))
