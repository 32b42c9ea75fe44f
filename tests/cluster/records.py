"""What the clients of a trial send, are told and are given; counted as it comes, judged at the end.

Every event of a trial has a name of its own in its payload, known before it is sent, also where the
server makes the id. By that name `tidings.testing.checker` holds together what was acknowledged,
what is kept and what was delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Condition
from typing import NamedTuple, cast

from tidings.event import Event
from tidings.testing.checker import ReaderRecord, Verdict, WriterRecord, check
from tidings.testing.elsewhere import PATIENCE

__all__ = ["Kept", "Records"]


class Kept(NamedTuple):
    """What the checker asks of an event: as it is kept, or was delivered, by its name."""

    position: int
    id: str
    type: str
    aggregate_type: str | None = None
    aggregate_id: str | None = None


class Records:
    """What the clients of a trial were told; safe for many threads.

    Args:
        directory: a new one, where the records are made.

    Attributes:
        failures: what a client was told that it should never be told, in words.
        acknowledged: how many answers said that an event is kept.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._told = Condition()
        self._open: list[WriterRecord | ReaderRecord] = []
        self.failures: list[str] = []
        self.acknowledged = 0

    def writer(self, name: str) -> WriterRecord:
        """A new record of what a writer sends."""
        record = WriterRecord(self._directory, name)
        self._open.append(record)
        return record

    def reader(self, name: str) -> ReaderRecord:
        """A new record of what a tail is given."""
        record = ReaderRecord(self._directory, name)
        self._open.append(record)
        return record

    def close(self) -> None:
        """Close what was opened; no client may be at work any more."""
        while self._open:
            self._open.pop().close()

    def count(self, acknowledged: int) -> None:
        """So many more are acknowledged."""
        with self._told:
            self.acknowledged += acknowledged
            self._told.notify_all()

    def fail(self, what: str) -> None:
        """A client was told something it should never be told."""
        with self._told:
            self.failures.append(what)
            self._told.notify_all()

    def wait_for_more(self, count: int, patience: float = PATIENCE) -> None:
        """Wait until so many more are acknowledged than now."""
        with self._told:
            enough = self.acknowledged + count
            met = self._told.wait_for(
                lambda: self.acknowledged >= enough or bool(self.failures), patience
            )
            assert met, f"{self.acknowledged} of {enough} were acknowledged in {patience} s"
        assert not self.failures, self.failures

    def verdict(self, kept: Sequence[Kept], first: int) -> Verdict:
        """What became of each event.

        Args:
            kept: the whole log.
            first: the first position that is left, where it was pruned.
        """
        return check(self._directory, cast("Sequence[Event]", kept), first=first)
