"""A trial: writers and tails at several servers, something that goes wrong, and the judgement.

Keeps promises 1 and 2 honest: *acknowledged is kept* and *read on from a position misses nothing
and repeats nothing*, whatever is killed or cut meanwhile. What goes wrong is the test's; a trial
waits for progress before and after it, so that it is certain to hit work under way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event as Flag
from time import monotonic
from typing import Self

from tests.cluster.records import Kept, Records
from tests.cluster.servers import Cluster
from tests.cluster.tails import Tail
from tests.cluster.writers import Writer, posted
from tidings.errors import StoreUnavailable
from tidings.store import open_store
from tidings.store.base import Store
from tidings.store.query import Query
from tidings.testing.checker import Verdict
from tidings.testing.elsewhere import PATIENCE

__all__ = ["WRITERS", "Trial", "kept_at"]

WRITERS = ("id-0", "id-1", "key-0", "together-0", "once-0", "once-1", "versions-0", "versions-1")
"""The writers of a trial: each way of writing, the racy ones twice."""

_LAST = "id-last"
_SHOWN = 5
_PROGRESS = 40
"""So many more are acknowledged between two things that go wrong."""


class Trial:
    """Writers and tails at some servers; a context manager that ends them.

    Args:
        cluster: the servers.
        fresh_url: the store itself, as a reader opens it that was not there before.
        directory: where the records are made.
        writers: their names; see `WRITERS`.

    Attributes:
        cluster: as given.
        records: what the writers were told.
        tails: one at each server at first, and one that asks for a part of it.
    """

    def __init__(
        self,
        cluster: Cluster,
        fresh_url: str,
        directory: Path,
        writers: Sequence[str] = WRITERS,
    ) -> None:
        self.cluster = cluster
        self.records = Records(directory / "records")
        self._fresh_url = fresh_url
        self._stop, self._given_up = Flag(), Flag()
        urls = cluster.urls
        self._writers = [
            Writer(name, urls, self.records, self._stop, self._given_up) for name in writers
        ]
        kinds: list[tuple[str, ...]] = [() for _ in urls]
        self.tails = [
            Tail(number, urls, self.records, last=_LAST, given_up=self._given_up, kinds=asked)
            for number, asked in enumerate([*kinds, ("trial.once", "trial.id")])
        ]

    def __enter__(self) -> Self:
        for each in (*self._writers, *self.tails):
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._given_up.set()
        for each in (*self._writers, *self.tails):
            each.join(PATIENCE)
        self.records.close()

    def suffer(self, *troubles: Callable[[], None]) -> None:
        """Let things go wrong, one after the other, with work under way before and after each."""
        self.progress()
        for trouble in troubles:
            trouble()
            self.progress()

    def progress(self, count: int = _PROGRESS, patience: float = PATIENCE) -> None:
        """Wait until so many more are acknowledged."""
        self.records.wait_for_more(count, patience)

    def prune(self) -> None:
        """Prune what all tails have seen, at any server that can."""
        through = min(int(tail.cursor) for tail in self.tails)
        for url in self.cluster.urls:
            if posted(url, "/log/prune", {"through": through}).status == 200:
                return

    def judged(self, patience: float = PATIENCE) -> Verdict:
        """End the writing, let the tails come to its end, and hold all that was said together.

        Args:
            patience: how long the tails may take to catch up (seconds).

        Returns:
            What became of each event, without a fault.
        """
        self._finish_writing()
        until = monotonic() + patience
        for tail in self.tails:
            tail.join(max(0.1, until - monotonic()))
        slow = [f"{tail.name} saw {len(tail.seen)}" for tail in self.tails if tail.is_alive()]
        first, kept = kept_at(self._fresh_url)
        verdict = self.records.verdict(kept, first)
        assert not verdict.faults, verdict.report()
        assert not self.records.failures, self.records.failures
        assert not slow, (slow, len(kept))
        for tail in self.tails:
            wanted = [
                (each.position, each.id)
                for each in kept
                if not tail.kinds or each.type in tail.kinds
            ]
            seen = [each for each in tail.seen if each[0] >= first]
            assert seen == wanted, f"{tail.name}: {_difference(seen, wanted)}"
        for url in self.cluster.urls:
            assert kept_at(url) == (first, kept), f"{url} gives another log"
        return verdict

    def _finish_writing(self) -> None:
        self._stop.set()
        until = monotonic() + PATIENCE
        for writer in self._writers:
            writer.join(max(0.1, until - monotonic()))
        alive = [writer.name for writer in self._writers if writer.is_alive()]
        assert not alive, f"{alive} still wait for an answer; {self.records.failures}"
        body = {"type": "trial.id", "id": _LAST, "payload": {"name": _LAST}}
        self._writers[0].send_until_known("/events/", body, [_LAST])


def kept_at(url: str) -> tuple[int, list[Kept]]:
    """The first position that is left and the whole log, as a store or a server gives them."""
    until = monotonic() + PATIENCE
    with open_store(url, deadline=PATIENCE) as store:
        while True:
            try:
                return _kept_in(store)
            except StoreUnavailable:
                # Its engine may still be coming back, and a server waits but a second for it.
                if monotonic() > until:
                    raise


def _kept_in(store: Store) -> tuple[int, list[Kept]]:
    store.catch_up()
    return store.first(), [
        Kept(
            event.position or 0,
            event.payload["name"],
            event.type,
            event.aggregate_type,
            event.aggregate_id,
        )
        for event in store.read(Query())
    ]


def _difference(seen: list[tuple[int, str]], wanted: list[tuple[int, str]]) -> str:
    """Where two deliveries part, in words."""
    missed = sorted(set(wanted) - set(seen))[:_SHOWN]
    extra = sorted(set(seen) - set(wanted))[:_SHOWN]
    return f"missed {missed}, got {extra} for nothing, {len(seen) - len(set(seen))} repeated"
