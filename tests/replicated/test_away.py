"""What an emit costs while the log is away: one deadline, and then nothing for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.replicated.memory_log import MemoryLog, Shelf
from tests.replicated.test_unfit_log import recovered
from tidings.bus import Bus
from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.event import Event
from tidings.store.query import Query
from tidings.store.replicated import ReplicatedStore
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path


class _Silent(MemoryLog):
    """A log that does not answer while its line is cut, as a host that is gone does not."""

    def _ensure_reachable(self) -> None:
        with self._shelf.moved:
            self._shelf.moved.wait_for(lambda: self._closed or not self._cut, PATIENCE)
        super()._ensure_reachable()


def test_who_emits_again_does_not_wait_again(tmp_path: Path) -> None:
    """A log that does not answer is waited for once; then all is refused at once, until it does."""
    log = _Silent(Shelf(), str(tmp_path / "replica"))
    log.cut()
    with ReplicatedStore(log, deadline=1.0) as store:
        with pytest.raises(StoreUnavailable, match="has not answered in time"):
            store.append([Event("x")])
        begun = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreUnavailable):
                store.append([Event("x")])
            with pytest.raises(StoreUnavailable):
                store.keys()
        # A hundred deadlines would be a hundred seconds.
        assert time.monotonic() - begun < PATIENCE
        log.cut(cut=False)
        event = Event("x")
        assert recovered(store.catch_up) == 0
        assert recovered(lambda: store.append([event]))[0].position == 1


def test_an_emit_is_spooled_after_one_deadline(tmp_path: Path) -> None:
    """To ask for schemas and to append are two questions, and the second is not waited for."""
    log = _Silent(Shelf(), str(tmp_path / "replica"))
    log.cut()
    with Bus(ReplicatedStore(log, deadline=0.5)) as bus:
        assert bus.emit("x").position is None
        assert bus.emit("y").position is None


def test_a_line_that_breaks_later_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that goes away while the store is open costs one emit its deadline, and others none."""
    log = _Lost(Shelf(), str(tmp_path / "replica"))
    with ReplicatedStore(log, deadline=1.0) as store:
        event = Event("x")
        recovered(lambda: store.append([event]))  # its file may take longer to make
        # A moment may be long on a busy machine.
        monkeypatch.setattr("tidings.store.replicated.absence._SECONDS", PATIENCE)
        log.lose()
        with pytest.raises(OutcomeUnknown):
            store.append([Event("y")])
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            store.append([Event("z")])
        assert [event.type for event in store.read(Query())] == ["x"]


class _Lost(MemoryLog):
    """A log whose answers get lost: what is published goes nowhere, and takes its time."""

    _is_lost = False

    def lose(self) -> None:
        """Begin to lose them."""
        self._is_lost = True

    def publish(self, entries: Any, deadline: float) -> None:
        """Publish, or lose what was to be published."""
        if not self._is_lost:
            super().publish(entries, deadline)
