"""`SCITEX_API_KEY` turns on the cloud forward of scitex-events."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scitex_events import emit
from tests.forward.receiver import Receiver
from tidings import settings
from tidings.integrations import scitex_events as behind

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-s3cret"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The address that the settings name."""
    receiver = Receiver()
    monkeypatch.setenv("SCITEX_API_URL", receiver.url)
    monkeypatch.setenv("SCITEX_API_KEY", KEY)
    yield receiver
    behind._bus().close()
    receiver.close()


def test_an_event_is_posted(receiver: Receiver) -> None:
    """The body is the six fields, the key a bearer."""
    event = emit("test_complete", "figrecipe", payload={"exit_code": 0})
    receiver.await_requests(1)
    headers, body = receiver.requests[0]
    assert body == event.to_dict()
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"


def test_a_process_that_ends_at_once(receiver: Receiver) -> None:
    """Its event is posted, or waits for who comes next."""
    command = [sys.executable, "-c", "import scitex_events; scitex_events.emit('a', 'b')"]
    subprocess.run(command, check=True)
    subprocess.run([sys.executable, "-m", "tidings", "collect"], check=True, capture_output=True)
    receiver.await_requests(1)
    assert receiver.requests[0][1]["type"] == "a"


def test_what_tidings_forwards_itself(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own address gets what `tidings` emits, and `scitex_events` has another."""
    other = Receiver()
    monkeypatch.setenv("TIDINGS_API_URL", other.url)
    monkeypatch.setenv("TIDINGS_API_KEY", "sk-other")
    emit("mine", "figrecipe")
    receiver.await_requests(1)
    assert other.requests == []
    assert settings.api_targets() == [(other.url, "sk-other"), (receiver.url, KEY)]
    other.close()


def test_the_doctor_names_the_address(receiver: Receiver) -> None:
    """And how many events wait for it."""
    command = [sys.executable, "-m", "tidings", "doctor", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert f"to {receiver.url}: 0 events wait" in done.stdout


def test_the_address_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key alone is enough; without it nothing is forwarded."""
    assert settings.scitex_target() is None
    monkeypatch.setenv("SCITEX_API_KEY", KEY)
    assert settings.scitex_target() == ("https://scitex.ai/api/events/", KEY)
