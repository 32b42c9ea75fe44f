"""An address that takes events, and a bus that forwards to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.forward.receiver import Receiver
from tidings.bus import Bus
from tidings.schedule import Schedule
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "sk-s3cret"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bus asks an address again while this machine rests."""
    later = Schedule.doubling(64, first=PATIENCE, most=PATIENCE)
    monkeypatch.setattr("tidings.forward.forwarding._AWAY", later)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An address that takes everything, until it is told otherwise."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def target(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The settings name that address; the address and the key."""
    monkeypatch.setenv("TIDINGS_API_URL", receiver.url)
    monkeypatch.setenv("TIDINGS_API_KEY", KEY)
    return receiver.url, KEY


@pytest.fixture
def opened(tmp_path: Path, target: object) -> Iterator[Callable[..., Bus]]:
    """Opens buses on one store; they are closed when the test ends."""
    assert target
    buses: list[Bus] = []

    def open_one(**options: object) -> Bus:
        url, spool = f"sqlite:///{tmp_path}/events.db", str(tmp_path / "spool")
        buses.append(Bus(url, **{"spool": spool, "context": False, **options}))  # type: ignore[arg-type]  # as given
        return buses[-1]

    yield open_one
    for bus in buses:
        bus.close()


@pytest.fixture
def bus(opened: Callable[..., Bus]) -> Bus:
    """A bus that forwards."""
    return opened()
