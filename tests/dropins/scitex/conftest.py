"""A home that scitex-events and Tidings share, and what scitex-events 0.1.7 writes there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropins.scitex.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def events(own_home: Path) -> Path:
    """Where the state files lie."""
    return own_home / ".scitex" / "events"


@pytest.fixture
def lines(events: Path) -> Callable[[], list[dict[str, Any]]]:
    """Reads the history, each line a whole event."""

    def read() -> list[dict[str, Any]]:
        text = (events / "history.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    return read


@pytest.fixture
def peer(events: Path) -> Peer:
    """A scitex-events 0.1.7 that lives beside us."""
    return Peer(events / "runtime")


@pytest.fixture
def away(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the store away: where it should be made, there is a file."""

    def take() -> None:
        (own_home / "away").write_text("")
        monkeypatch.setenv("TIDINGS_URL", f"sqlite:///{own_home}/away/events.db")

    return take
