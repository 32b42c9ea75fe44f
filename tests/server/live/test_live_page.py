"""The page at `/ui/` in a browser: the newest events, live, and the truth about the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.server.live.browser import Browser
from tidings import Bus
from tidings.server.keys import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.server.conftest import Server

POSITIONS = "[...document.querySelectorAll('#events td:first-child')].map(c => +c.textContent)"
STATE = "document.getElementById('state').dataset.state"
HOSTILE = "<img src=x onerror='document.title=\"owned\"'>"


def emit(served: Server, *types: str) -> None:
    """Keep events beside the server."""
    with Bus(served.store_url) as bus:
        for type_ in types:
            bus.emit(type_, "demo", "failure", {"text": HOSTILE})


def test_it_shows_events_live_and_whether_it_is_connected(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    """Newest first, over a kill and restart, without repeating any; nothing in them runs."""
    served = server()
    emit(served, "one", "two")
    with Browser(tmp_path, f"{served.url}/") as page:
        page.wait_until(f"{STATE} == 'live' && {POSITIONS}.length == 2")
        emit(served, "three")
        page.wait_until(f"{POSITIONS}.length == 3")
        served.kill()
        page.wait_until(f"{STATE} == 'lost'")
        emit(served, "four")
        served.start()
        page.wait_until(f"{STATE} == 'live' && {POSITIONS}.length == 4")
        assert page.value(POSITIONS) == [4, 3, 2, 1]
        assert HOSTILE in page.value(
            "JSON.parse(document.querySelector('td:last-child').textContent).text"
        )
        assert page.value("document.title") == "Tidings: live events"
        assert not [text for text in page.problems if "Content Security" in text]


def test_it_can_be_paused(server: Callable[..., Server], tmp_path: Path) -> None:
    """What comes meanwhile is counted, and shown afterwards."""
    served = server()
    emit(served, "one")
    with Browser(tmp_path, f"{served.url}/ui/") as page:
        page.wait_until(f"{STATE} == 'live' && {POSITIONS}.length == 1")
        page.value("pause.click()")
        emit(served, "two", "three")
        page.wait_until("pause.textContent == 'Resume (2 new)'")
        assert page.value(POSITIONS) == [1]
        page.value("pause.click()")
        assert page.value(POSITIONS) == [3, 2, 1]


def test_it_asks_for_a_key_where_one_is_needed(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    """It says that it is not connected, and is once the key is given."""
    served = server()
    emit(served, "one")
    with Bus(served.store_url) as bus:
        _, token = KeyRing(bus.store).create("browser", ["read"])
    served.restart()
    assert httpx.get(f"{served.url}/events/").status_code == 401
    with Browser(tmp_path, f"{served.url}/ui/") as page:
        page.wait_until(f"{STATE} == 'lost' && !entry.hidden")
        page.value(f"key.value = '{token}'; entry.requestSubmit()")
        page.wait_until(f"{STATE} == 'live' && {POSITIONS}.length == 1 && entry.hidden")
        assert page.value("key.value") == ""
