"""A real browser on a real server's dashboard.

Each test fails, too, where the page asked another host for anything, or its console held an error:
the fixture `open_page` sees to both.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.server.conftest import Server
from tidings import Bus, demo
from tidings.testing.elsewhere import PATIENCE
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

expect.set_options(timeout=PATIENCE * 1000)

CHROMIUM = "/usr/bin/chromium"


class OpenPage(Protocol):
    """Opens a view of a server's dashboard."""

    def __call__(self, served: Server, place: str = "", **options: Any) -> Page:
        """A page at this place, such as `#/jobs`; options are those of a browser context."""


# Not longer: while Playwright runs, its event loop counts as running in this thread, and the tests
# of others could not run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests of a file."""
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work as root, nor in most containers.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000
        )
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A server on an empty store."""
    server = Server(tmp_path / "home", (), {})
    yield server
    server.kill()


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that holds the demo's day, which ended just now; tests look, and change nothing."""
    server = Server(tmp_path_factory.mktemp("story"), (), {})
    day = demo.day()
    begin = now_instant() - max(scene.at for scene in day)
    with Bus(server.store_url, context=False, deadline=PATIENCE) as bus:
        bus.emit_many(demo.told(scene, begin) for scene in day)
    yield server
    server.kill()


@pytest.fixture
def bus(served: Server) -> Iterator[Bus]:
    """The server's store, from another process's side; nothing it emits is spooled instead."""
    with Bus(served.store_url, context=False, deadline=PATIENCE) as bus:
        yield bus


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages, and finds fault with what they did that no page may."""
    faults: list[str] = []
    with ExitStack() as stack:

        def open_one(served: Server, place: str = "", **options: Any) -> Page:
            context = browser.new_context(**{"viewport": {"width": 1360, "height": 820}, **options})
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE * 1000)
            page = context.new_page()
            _watch(page, urlsplit(served.url).netloc, faults)
            page.goto(f"{served.url}/ui/{place}")
            return page

        yield open_one
    assert faults == []


def _watch(page: Page, home: str, faults: list[str]) -> None:
    """Note every request to elsewhere, every error of a script, every violated policy."""

    def asked(request: Any) -> None:
        if urlsplit(request.url).netloc != home:
            faults.append(f"asked {request.url}")

    def said(message: Any) -> None:
        # That a server is away the browser says by itself; whether the page copes is under test.
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(f"console: {message.text}")

    page.on("request", asked)
    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
