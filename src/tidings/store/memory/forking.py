"""What a fork does to memory stores: each process goes on with a copy of its own.

Without this a child could inherit a lock that a thread of its parent holds for good, or a log in
the middle of a change.
"""

from __future__ import annotations

import os
import weakref
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Forkable(Protocol):
        """What has a lock that must be free, and new in the child."""

        def before_fork(self) -> None:
            """Take the lock."""

        def after_fork_in_parent(self) -> None:
            """Release the lock."""

        def after_fork_in_child(self) -> None:
            """Make a new lock."""


__all__ = ["watch"]

_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_watching = Lock()
_forking: list[Forkable] = []


def watch(store: Forkable) -> None:
    """Tell a store of every fork, for as long as it lives."""
    with _watching:
        _watched.add(store)


def _before_fork() -> None:
    _watching.acquire()
    _forking.extend(_watched)
    for store in _forking:
        store.before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()
    _watching.release()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop().after_fork_in_child()
    _watching.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
