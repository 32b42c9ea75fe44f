"""A real server with an empty store, for all tests of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server; tests keep apart by the names they give."""
    started = Server(tmp_path_factory.mktemp("served"), (), {})
    yield started
    started.kill()
