"""Machines over one shelf: each with a replica of its own, all in this process."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.replicated.memory_log import MemoryLog, Shelf
from tidings.store.query import Query
from tidings.store.replicated.store import ReplicatedStore
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from tidings.store.base import Store

__all__ = ["Machines", "ids"]


class Machines:
    """Opens stores over a shelf and closes them at the end.

    Attributes:
        shelf: what all of them share.
        logs: each machine's newest way to it.
    """

    def __init__(self, directory: Path) -> None:
        self.shelf = Shelf()
        self.logs: dict[str, MemoryLog] = {}
        self._directory = directory
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def open(
        self, name: str = "a", *, deadline: float = PATIENCE, most_bytes: int = 1 << 20
    ) -> ReplicatedStore:
        """The store of a machine."""
        log = MemoryLog(self.shelf, str(self.home(name)), most_bytes=most_bytes)
        self.logs[name] = log
        return self._opened.enter_context(ReplicatedStore(log, deadline=deadline))

    def home(self, name: str = "a") -> Path:
        """Where a machine's replica lies."""
        return self._directory / name

    def file(self, name: str = "a") -> Path:
        """A machine's replica."""
        (found,) = self.home(name).glob("replica-*.db")
        return found


def ids(store: Store, **query: Any) -> list[str]:
    """The ids of the events there are, in order."""
    return [event.id for event in store.read(Query(**query))]
