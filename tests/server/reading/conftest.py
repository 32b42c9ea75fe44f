"""A bus beside the server: what is kept there is what the server then reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tidings.bus import Bus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def bus(shared_server: Any) -> Iterator[Bus]:
    """Keeps events in the store that the shared server serves."""
    with Bus(shared_server.store_url, context=False) as opened:
        yield opened


@pytest.fixture
def walk(client: httpx.Client) -> Callable[[str, str], list[dict[str, Any]]]:
    """Follows `next` from an address to the end, and gives what all pages list."""

    def walked(url: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        link: str | None = url
        while link is not None:
            page = client.get(link).raise_for_status().json()
            found += page[key]
            link = page["next"]
        return found

    return walked
