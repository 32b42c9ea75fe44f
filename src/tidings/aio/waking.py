"""Telling an event loop from another thread what a future's result is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

__all__ = ["call_in", "settle"]


def settle(future: asyncio.Future[Any], result: Any) -> Callable[[], None]:
    """What tells a future its result, called in the future's loop."""

    def settle() -> None:
        if future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    return settle


def call_in(loop: asyncio.AbstractEventLoop, calls: list[Callable[[], None]]) -> None:
    """Make calls in a loop, with one wake-up for all of them."""

    def call_all() -> None:
        for call in calls:
            call()

    try:
        loop.call_soon_threadsafe(call_all)
    except RuntimeError:
        # The loop is closed: nobody is left to be told, and what is kept is kept.
        return
