"""Calling into an event loop from another thread."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["call_in"]


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have a loop make a call soon; nothing happens where it is closed."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        # The loop is closed: nobody is left to be told, and what is kept is kept.
        return
