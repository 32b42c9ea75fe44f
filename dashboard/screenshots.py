"""Takes the pictures in `docs/img/`: of the demo's story, from a server of its own, in Chromium.

    python dashboard/screenshots.py

The dashboard must be built; `make screenshots` sees to that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright
from small_png import small_png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, ViewportSize

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "img"
CHROMIUM = "/usr/bin/chromium"
_TIDINGS = (sys.executable, "-m", "tidings")
_MOST_BYTES = 100_000
_SIZE: ViewportSize = {"width": 1280, "height": 680}
# Chromium's own sandbox does not work as root, nor in most containers; letters with coloured edges
# would need more colours than there are.
_OPTIONS = ["--no-sandbox", "--disable-lcd-text"]

# What is opened, and what is waited for before the picture is taken.
_VIEWS = {
    "events": ("#/events", ".events .row.failure"),
    "workflow": ("#/workflows/workflow-review", ".timeline"),
    "job": ("#/jobs/slurm%3Aalps%3A4711", ".runs pre"),
}


def main() -> None:
    """Take all of them."""
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        _served(home) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        for name in _VIEWS:
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport=_SIZE, color_scheme=scheme, reduced_motion="reduce", timezone_id="UTC"
                )
                _keep(_picture(page, f"{url}/ui/", name), IMAGES / f"{name}-{scheme}.png")
                page.close()
        browser.close()


def _picture(page: Page, url: str, name: str) -> bytes:
    place, sign = _VIEWS[name]
    page.goto(f"{url}{place}")
    page.locator(sign).first.wait_for()
    if name == "events":
        _open_a_failure(page)
    page.wait_for_timeout(500)  # until the last answers are shown
    return small_png(page)


def _open_a_failure(page: Page) -> None:
    page.locator(".row.failure .type button").first.click()
    page.locator(".event-panel h2").wait_for()


def _keep(picture: bytes, path: Path) -> None:
    path.write_bytes(picture)
    print(f"{path.relative_to(IMAGES.parents[1])}: {len(picture):,} bytes")
    if len(picture) > _MOST_BYTES:
        raise SystemExit(f"{path} is larger than {_MOST_BYTES:,} bytes")


@contextmanager
def _served(home: str) -> Iterator[str]:
    """A server that shows the story's past; its URL."""
    environment = {**os.environ, "TIDINGS_HOME": home}
    store = f"sqlite:///{home}/demo.db"
    subprocess.run((*_TIDINGS, "demo", "--once", "--url", store), env=environment, check=True)
    command = (*_TIDINGS, "serve", "--port", "0", "--url", store)
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[0]
    finally:
        server.terminate()
        server.communicate()


if __name__ == "__main__":
    main()
