"""The remote store fulfils the contract, through real servers below a path prefix."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tidings.store import open_store
from tidings.testing import SharedStoreContract
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.store.base import Store

_served: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def served() -> Iterator[None]:
    """The process that serves all stores of these tests; see `served_stores`."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", Path(__file__).with_name("served_stores.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        _served.append(process.stdout.readline().strip())
        yield
        _served.clear()
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def served_at(directory: Path) -> str:
    """The URL at which the store in a directory is served."""
    (url,) = _served
    asking = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    asking.request("POST", "/open", str(directory))
    name = asking.getresponse().read().decode()
    asking.close()
    return f"{url}/{name}"


class TestRemoteStore(SharedStoreContract):
    """The contract, held to the remote store."""

    share_of_examples = 0.4  # SQLite decides, which `test_sqlite` holds to all of them

    def open_store(self, directory: Path) -> Store:
        """A server on one file in the directory."""
        return open_store(served_at(directory), deadline=PATIENCE)

    def open_backup(self, path: str) -> Store:
        """A backup is a SQLite store."""
        return open_store(f"sqlite:///{path}")
