"""What a backend has to say so that the contract suite can test it: how its stores are opened."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, settings

from tidings.event import Event
from tidings.store import open_store
from tidings.store.query import Query
from tidings.testing.elsewhere import PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tidings.store.base import Store

__all__ = ["ABOUT", "EXAMPLES", "Opening", "a_few", "all_of", "kept", "positions"]

EXAMPLES = settings(
    deadline=None,
    max_examples=50,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
"""How long Hypothesis searches. Slow disks are no failure, so nothing has a deadline; and a failure
is made small but not explained, which would take minutes on a store that syncs."""

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a1"}
"""An aggregate that many tests write about."""


def a_few(count: int, event_type: str = "job_done", **fields: Any) -> list[Event]:
    """Events that differ in their payload's number, which counts from 1."""
    return [Event(event_type, payload={"n": n}, **fields) for n in range(1, count + 1)]


def all_of(store: Store, **query: Any) -> list[Event]:
    """The events a query gives, as a list."""
    return list(store.read(Query(**query)))


def positions(store: Store, **query: Any) -> list[int]:
    """The positions of the events a query gives."""
    return [event.position or 0 for event in store.read(Query(**query))]


def kept(result: list[Event] | Exception) -> list[Event]:
    """The events of a batch that was kept; raises why it was not."""
    if isinstance(result, Exception):
        raise result
    return result


class Opening:
    """The hooks of the suite; a backend overrides the first two.

    Attributes:
        keeps_events: whether a store that is closed and opened again has its events still.
        share_of_examples: how much of its search Hypothesis does. Less than all of it is enough for
            a store that has another one decide which is held to all of it.
    """

    keeps_events = False
    share_of_examples = 1.0

    def search(self, whole: settings = EXAMPLES) -> settings:
        """How many examples Hypothesis tries on this store.

        Args:
            whole: how many where it tries all of them.
        """
        share = max(1, round(whole.max_examples * self.share_of_examples))
        return settings(whole, max_examples=share)

    def open_store(self, directory: Path) -> Store:
        """Open the store that lies in a directory, or make an empty one there.

        Args:
            directory: an empty directory at first; a second call opens the same store again, if
                the backend keeps events at all.
        """
        raise NotImplementedError("say in a subclass how a store is opened")

    def open_backup(self, path: str) -> Store:
        """Open the copy that `Store.backup` wrote to a path."""
        raise NotImplementedError("say in a subclass how a backup is opened")

    def opener(self, store: Store) -> Callable[[], Store]:
        """A callable that can be pickled and with which another process opens the same store.

        A backend that `tidings.store.open_store` does not know overrides it.
        """
        # On a busy machine eight writers may wait longer for each other than users would.
        return partial(open_store, store.url, deadline=PATIENCE)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """An empty store, closed after the test."""
        with self.open_store(tmp_path) as store:
            yield store

    @contextmanager
    def fresh_store(self) -> Iterator[Store]:
        """An empty store for one example of Hypothesis."""
        with TemporaryDirectory() as directory, self.open_store(Path(directory)) as store:
            yield store
