"""The contract of keeping house: prune, redact, restore, backup, check and describe."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event as Flag

import pytest

from tidings.errors import InvalidEvent, StoreUnavailable
from tidings.event import Event
from tidings.store.base import CORRELATION
from tidings.store.query import Query
from tidings.testing.contract.opening import ABOUT, Opening, a_few, all_of, positions
from tidings.testing.elsewhere import in_threads
from tidings.testing.model import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store


class Upkeep(Opening):
    """Tests of what changes or copies a whole store."""

    def test_pruning_removes_the_oldest(self, store: Store) -> None:
        """Events up to a position go, the rest keep their places, and positions are not reused."""
        store.append([Event("old"), *a_few(4)])
        assert store.prune(3) == 3
        assert (store.first(), store.head(), positions(store)) == (4, 5, [4, 5])
        assert (store.types(), store.latest("old")) == ([("job_done", 2, 5)], None)
        assert store.count(Query()) == (2, True)
        assert (store.prune(3), store.prune(2), store.prune(0)) == (0, 0, 0)
        assert store.check() == []

    def test_pruning_everything_keeps_the_head(self, store: Store) -> None:
        """A store whose events are all gone goes on at the next position; the future is not cut."""
        store.append(a_few(3))
        assert store.prune(10) == 3
        assert (store.first(), store.head(), store.latest(), all_of(store)) == (4, 3, None, [])
        assert store.append(a_few(2))[0].position == 4
        assert (positions(store), store.check()) == ([4, 5], [])

    def test_redacting_empties_payloads(self, store: Store) -> None:
        """What matches keeps everything but its payload; the number tells how many there were."""
        sent = [Event("x", payload={"name": name}, **ABOUT) for name in ("ann", "bob", "ann")]
        store.append(sent)
        assert store.redact(Query(payload={"name": "ann"})) == 2
        assert [event.payload for event in all_of(store)] == [None, {"name": "bob"}, None]
        assert [event.redacted for event in all_of(store)] == [True, False, True]
        assert [event.id for event in all_of(store)] == [event.id for event in sent]
        assert [event.version for event in all_of(store)] == [1, 2, 3]
        assert store.check() == []

    def test_what_is_redacted_is_redacted_once(self, store: Store) -> None:
        """Events that are empty already are not counted again; a window bounds what is emptied."""
        store.append(a_few(5))
        assert store.redact(Query(after=1, before=4)) == 2
        assert store.redact(Query()) == 3
        assert store.redact(Query()) == 0

    def test_restoring_keeps_places(self, store: Store) -> None:
        """Restored events stand at the positions, versions and times they bring, gaps included."""
        moved = [
            _placed(3, 5, "agent.started", **ABOUT),
            _placed(7, None, "x", correlation_id="w"),
            _placed(8, 6, "agent.completed", **ABOUT),
        ]
        assert store.restore(iter(moved)) == 3
        assert [event.to_dict() for event in all_of(store)] == [e.to_dict() for e in moved]
        assert (store.head(), store.latest()) == (8, moved[-1])
        assert [(s.version, s.state) for s in store.summaries("agent", Query())] == [(6, "done")]
        assert [s.first_position for s in store.summaries(CORRELATION, Query())] == [7]
        assert store.append([Event("x", **ABOUT)], expected_version=6)[0].position == 9
        assert (positions(store, after=3), store.check()) == ([7, 8, 9], [])

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("position", {"position": None}),
            ("position", {"position": 2}),
            ("position", {"position": 5}),
            ("version", {"version": None}),
            ("version", {"version": 2}),
            ("id", {"id": "kept before"}),
        ],
    )
    def test_a_wrong_place_cannot_be_restored(
        self, store: Store, field: str, wrong: dict[str, Any]
    ) -> None:
        """An event without a place of its own past the head is refused, and all that follow it."""
        store.append([Event("x", id="kept before"), Event("x", **ABOUT), Event("x", **ABOUT)])
        good = _placed(5, 3, "x", **ABOUT)
        data = {**_placed(6, 4, "x", **ABOUT).to_dict(), **wrong}
        with pytest.raises(InvalidEvent) as caught:
            store.restore([good, Event.from_dict(data), _placed(9, 5, "x", **ABOUT)])
        assert caught.value.field == field
        assert (store.head() in (3, 5), store.check()) == (True, [])

    def test_a_backup_is_the_whole_store(self, store: Store, tmp_path: Path) -> None:
        """A copy has the same events, summaries and records, and goes on where the store stood."""
        store.append([*a_few(3, correlation_id="w", **ABOUT), Event("x", id="a", payload=[1.0])])
        store.redact(Query(after=2, before=4))
        store.prune(1)
        revision = store.put("cursor", {"é": 1})
        store.put("gone", 1)
        store.delete("gone")
        path = self.backup_of(store, tmp_path)
        with self.open_backup(path) as copy:
            assert [facts(event) for event in all_of(copy)] == [facts(e) for e in all_of(store)]
            assert (copy.head(), copy.first(), copy.types()) == (4, 2, store.types())
            assert copy.summaries("agent", Query()) == store.summaries("agent", Query())
            assert copy.summaries(CORRELATION, Query()) == store.summaries(CORRELATION, Query())
            assert copy.get("cursor") == store.get("cursor")
            assert (copy.keys(), copy.check()) == (["cursor"], [])
            assert copy.put("new", 1) > revision + 1
            assert copy.append([Event("x", **ABOUT)], expected_version=3)[0].position == 5
            assert copy.append([Event("x", id="a", payload=[1.0])])[0].position == 4
        assert store.head() == 4

    def test_a_backup_replaces_what_was_there(self, store: Store, tmp_path: Path) -> None:
        """The same path may be written again, and no unfinished file stays behind."""
        path = Path(self.backup_of(store, tmp_path))
        store.append(a_few(2))
        store.backup(str(path))
        with self.open_backup(str(path)) as copy:
            assert copy.head() == 2
        assert [found.name for found in path.parent.iterdir() if "unfinished" in found.name] == []

    def test_a_backup_of_a_busy_store_is_consistent(self, store: Store, tmp_path: Path) -> None:
        """A copy made while others write is what the store was at one moment."""
        store.append(a_few(500))
        done = Flag()

        def write() -> None:
            while not done.is_set():
                store.append(a_few(3, **ABOUT))

        def copy() -> str:
            try:
                return self.backup_of(store, tmp_path)
            finally:
                done.set()

        path = next(found for found in in_threads(write, copy) if found)
        with self.open_backup(path) as made:
            head = made.head()
            assert made.check() == []
            assert all_of(made) == all_of(store, before=head + 1)
            assert head % 3 == 500 % 3
            assert sum(count for _, count, _ in made.types()) == head

    def test_a_backup_that_cannot_be_written_says_so(self, store: Store, tmp_path: Path) -> None:
        """A path where nothing can be written is a clear error that names it, and harms nothing."""
        store.append(a_few(1))
        (tmp_path / "file").write_text("no directory")
        with pytest.raises(StoreUnavailable, match="file"):
            store.backup(str(tmp_path / "file" / "copy"))
        assert (store.head(), store.check()) == (1, [])

    def test_a_store_describes_itself(self, store: Store) -> None:
        """The facts about a store are plain JSON, with url, head, size and engine."""
        store.append(a_few(2))
        facts_told = store.describe()
        assert {"url", "head", "size", "engine"} <= facts_told.keys()
        assert (facts_told["url"], facts_told["head"]) == (store.url, 2)
        assert json.loads(json.dumps(facts_told)) == facts_told
        assert store.durability in ("power", "process", "none")

    def backup_of(self, store: Store, directory: Path) -> str:
        """Write a backup into a directory of its own."""
        folder = directory / "backup"
        folder.mkdir()
        path = str(folder / "copy")
        store.backup(path)
        return path


def _placed(position: int, version: int | None, event_type: str, **fields: Any) -> Event:
    place = {"position": position, "version": version, "recorded_at": "2026-01-01T00:00:00Z"}
    return Event.from_dict({"type": event_type, **fields, **place})
