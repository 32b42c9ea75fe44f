"""Each event that waits is moved once, whatever else lies in the spool."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from tests.unit.spool.files import drop, kept, listed, reason_for
from tidings.errors import OutcomeUnknown, StoreUnavailable, TransferError
from tidings.event import Event
from tidings.spool import Collected, Spool
from tidings.store.base import Batch
from tidings.store.memory import MemoryStore

DAY = 24 * 3600


class Unwilling(MemoryStore):
    """A store that raises instead of taking events, from the n-th group on."""

    def __init__(self, error: Exception, group: int = 1) -> None:
        super().__init__()
        self.error, self.group = error, group

    def append_all(self, batches: list[Batch]) -> list[list[Event] | Exception]:  # type: ignore[override]  # a list is a sequence
        """As the store does it, or the error."""
        self.group -= 1
        if self.group <= 0:
            raise self.error
        return super().append_all(batches)


class TestCollect:
    """Each event is moved once, whatever else lies in the spool."""

    def test_nothing_there(self, spool: Spool, store: MemoryStore) -> None:
        """A spool that was never used has nothing, and is not made by looking."""
        assert spool.collect(store) == Collected(0, 0, 0)
        assert spool.waiting() == 0
        assert not Path(spool.directory).exists()

    @pytest.mark.parametrize("error", [StoreUnavailable("away"), OutcomeUnknown("broken")])
    def test_a_store_that_takes_nothing(self, spool: Spool, error: Exception) -> None:
        """The store's own error comes out, and the files stay."""
        spool.put(Event("job_done"))
        with pytest.raises(type(error)):
            spool.collect(Unwilling(error))
        assert spool.waiting() == 1

    def test_a_store_that_stops_in_the_middle(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was moved is gone from the spool, the rest stays, and nothing is in both."""
        monkeypatch.setattr("tidings.spool.collecting._GROUP_FILES", 3)
        for number in range(8):
            spool.put(Event("job", payload=number))
        store = Unwilling(StoreUnavailable("away"), group=3)
        with pytest.raises(StoreUnavailable):
            spool.collect(store)
        assert [event.payload for event in kept(store)] == [0, 1, 2, 3, 4, 5]
        store.group = 99
        assert spool.collect(store) == Collected(2, 0, 0)
        assert [event.payload for event in kept(store)] == list(range(8))

    def test_an_event_that_is_there_already(self, spool: Spool, store: MemoryStore) -> None:
        """An event whose first append had an unknown outcome is spooled too, and kept once."""
        event = Event("job_done", payload={"n": 1})
        store.append([event])
        spool.put(event)
        spool.put(event)
        assert spool.collect(store) == Collected(kept=2, rejected=0, waiting=0)
        assert kept(store) == [event]

    def test_an_id_that_is_another_events(self, spool: Spool, store: MemoryStore) -> None:
        """It is put aside and says which event owns the id; the others are kept."""
        store.append([Event("job_done", id="42")])
        spool.put(Event("before"))
        name = Path(spool.put(Event("job_done", id="42", payload={"other": True}))).name
        spool.put(Event("after"))
        assert spool.collect(store) == Collected(kept=2, rejected=1, waiting=0)
        assert [event.type for event in kept(store)] == ["job_done", "before", "after"]
        assert "position 1" in reason_for(spool, name)

    def test_a_file_by_hand(self, spool: Spool, store: MemoryStore) -> None:
        """A line written by hand gets an id, and happened when it was written."""
        path = drop(spool, "note", '{"type": "note"}')
        os.utime(path, ns=(0, 1_767_225_600_000_001_000))
        spool.collect(store)
        (event,) = kept(store)
        assert event.timestamp == "2026-01-01T00:00:00.000001Z"
        assert event.id.startswith("spool-")

    def test_a_file_without_id_is_kept_once(
        self, spool: Spool, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If its file cannot be removed, collecting it again repeats nothing."""
        drop(spool, "note", '{"type": "note"}')
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", lambda _: os.stat("/dev/null/cannot"))
            with pytest.raises(TransferError, match="cannot be collected"):
                spool.collect(store)
        assert store.head() == 1
        assert spool.collect(store) == Collected(1, 0, 0)
        assert store.head() == 1

    def test_files_of_one_name_are_different_events(self, spool: Spool, store: MemoryStore) -> None:
        """A script that writes `note` again and again emits each time."""
        for second in range(3):
            path = drop(spool, "note", '{"type": "note"}')
            os.utime(path, (second, second))
            spool.collect(store)
        assert store.head() == 3

    def test_hidden_files_are_left_alone(self, spool: Spool, store: MemoryStore) -> None:
        """An editor's and NFS's own files are none of ours."""
        drop(spool, ".nfs000001", '{"type": "note"}')
        assert spool.waiting() == 0
        assert spool.collect(store) == Collected(0, 0, 0)
        assert listed(spool, "new") == [".nfs000001"]

    def test_a_file_of_another_user_waits(
        self, spool: Spool, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What may not be read is left to whoever may; the others are kept."""
        drop(spool, "1", '{"type": "theirs"}')
        drop(spool, "2", '{"type": "mine"}')
        opened = os.open

        def refusing(path: str, *args: int) -> int:
            if path.endswith("/1"):
                raise PermissionError(errno.EACCES, "not yours", path)
            return opened(path, *args)

        monkeypatch.setattr(os, "open", refusing)
        assert spool.collect(store) == Collected(kept=1, rejected=0, waiting=1)

    def test_a_spool_that_is_a_file(self, tmp_path: Path, store: MemoryStore) -> None:
        """The error names the path and what to do."""
        (tmp_path / "spool").write_text("mine")
        spool = Spool(str(tmp_path / "spool"))
        for look in (spool.waiting, lambda: spool.collect(store)):
            with pytest.raises(TransferError, match=r"spool.* move it away"):
                look()

    def test_the_largest_payload_is_a_setting(
        self, spool: Spool, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where larger payloads may be emitted they are collected too."""
        monkeypatch.setenv("TIDINGS_MAX_PAYLOAD", "3000000")
        spool.put(Event("job_done", payload="x" * 2_000_000, max_payload=3_000_000))
        assert spool.collect(store).kept == 1

    def test_invalid_utf8_is_no_reason_to_lose_an_event(
        self, spool: Spool, store: MemoryStore
    ) -> None:
        """A Latin-1 file name in a payload becomes U+FFFD, and the event is kept."""
        drop(spool, "note", b'{"type": "note", "payload": {"file": "caf\xe9"}}')
        assert spool.collect(store).kept == 1
        assert kept(store)[0].payload == {"file": "caf\ufffd"}


class TestAbandoned:
    """What dead writers left in tmp/ is rescued where it is whole."""

    def test_whole_torn_and_young(self, spool: Spool, store: MemoryStore) -> None:
        """A whole event is kept, a torn one removed, a young one left to its writer."""
        whole, torn, young = (Path(spool.put(Event(kind))) for kind in ("whole", "torn", "young"))
        torn.write_text(torn.read_text()[:-5])
        for path in (whole, torn, young):
            path.rename(Path(spool.directory, "tmp", path.name))
        for path in (whole, torn):
            os.utime(Path(spool.directory, "tmp", path.name), (0, time.time() - 1.6 * DAY))
        assert spool.collect(store) == Collected(kept=1, rejected=0, waiting=0)
        assert [event.type for event in kept(store)] == ["whole"]
        assert listed(spool, "tmp") == [young.name]
