"""An eventuali store is imported whole, once, and left as it is."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.transfer.events import kept
from tests.transfer.eventuali_files import METADATA, add, agent, insert, new_file, workflow
from tidings.cloudevents import to_cloudevent
from tidings.errors import StoreUnavailable, TransferError
from tidings.event import Event
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.transfer import import_eventuali


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


def files(directory: Path) -> dict[str, bytes]:
    """What lies in a directory, and what it holds."""
    return {each.name: each.read_bytes() for each in directory.iterdir() if each.is_file()}


def one(store: MemoryStore, path: Path, **columns: Any) -> Event:
    """The one event of a file with one row."""
    assert import_eventuali(store, new_file(path, columns)) == (1, 1, 0, 0, ())
    (event,) = kept(store)
    return event


class TestEvents:
    """Events are what that server would show."""

    def test_of_agents(self, store: MemoryStore, tmp_path: Path) -> None:
        """Their names, attributes, workflow and parent, under the names they have here."""
        event = one(store, tmp_path / "events.db", **agent("agent.completed"))
        assert (event.type, event.status, event.source) == (
            "agent.completed",
            "success",
            "eventuali",
        )
        assert event.payload == {"agent_name": "url-cacher", "message": "ü"}
        assert (event.aggregate_type, event.aggregate_id) == ("agent", "url-cacher-abc123")
        assert (event.correlation_id, event.causation_id) == (
            "workflow-def456",
            "parent-agent-789",
        )
        assert event.id == "be4f712a-2f70-4102-a836-000000000001"
        assert event.timestamp == "2026-01-01T00:00:00.000000001+00:00"
        assert event.extensions == {}

    def test_of_workflows(self, store: MemoryStore, tmp_path: Path) -> None:
        """They belong to themselves, as those that are emitted here."""
        event = one(store, tmp_path / "events.db", **workflow("workflow.failed"))
        assert (event.type, event.status) == ("workflow.failed", "failure")
        assert event.payload == {"user_prompt": "Cache the documentation page"}
        assert (event.aggregate_type, event.correlation_id) == ("workflow", "workflow-def456")

    def test_of_sessions(self, store: MemoryStore, tmp_path: Path) -> None:
        """Of the system; without attributes the payload is an empty object."""
        data = {"event_name": "session.started", "session_id": "session-1", "attributes": None}
        event = one(
            store,
            tmp_path / "events.db",
            aggregate_id="session-1",
            aggregate_type="system_aggregate",
            event_type="SystemEvent",
            event_data=data,
        )
        assert (event.type, event.aggregate_type, event.payload) == (
            "session.started",
            "system",
            {},
        )
        assert (event.correlation_id, event.causation_id) == (None, None)

    def test_a_name_beside_the_attributes_is_not_lost(
        self, store: MemoryStore, tmp_path: Path
    ) -> None:
        """An agent's name that its attributes lack goes into the payload; one there stays."""
        path = tmp_path / "events.db"
        rows = [{"message": "a"}, {"agent_name": "its own"}]
        new_file(path, *(agent("a", n, attributes=each) for n, each in enumerate(rows, 1)))
        import_eventuali(store, path)
        assert [event.payload["agent_name"] for event in kept(store)] == ["url-cacher", "its own"]

    def test_of_users_own_aggregates(self, store: MemoryStore, tmp_path: Path) -> None:
        """Their type and all of their data, and what the metadata says."""
        metadata = {
            "causation_id": "11111111-2f70-4102-a836-9276d4df29bf",
            "correlation_id": "22222222-2f70-4102-a836-9276d4df29bf",
            "user_id": "ann",
            "headers": {"trace": "7"},
        }
        event = one(store, tmp_path / "events.db", metadata=metadata, event_version=2)
        assert (event.type, event.aggregate_type, event.aggregate_id) == (
            "OrderPlaced",
            "order",
            "order-1",
        )
        assert event.payload == {"number": 1}
        assert event.causation_id == metadata["causation_id"]
        assert event.correlation_id == metadata["correlation_id"]
        assert event.user_id == "ann"
        assert event.extensions == {"eventversion": 2, "headers": {"trace": "7"}}

    def test_of_protobuf(self, store: MemoryStore, tmp_path: Path) -> None:
        """The bytes stay, and as a CloudEvent they are binary."""
        text = base64.b64encode(b"\x08\x96\x01").decode()
        event = one(store, tmp_path / "events.db", event_data=text, event_data_type="protobuf")
        assert event.payload == text
        message = to_cloudevent(event)
        assert (message["data_base64"], message["datacontenttype"]) == (
            text,
            "application/protobuf",
        )

    @pytest.mark.parametrize(
        ("written", "kept_as"),
        [
            ("2026-01-01T12:00:00.123456789+00:00", "2026-01-01T12:00:00.123456789+00:00"),
            ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z"),
            ("2026-01-01T12:00:00.5", "2026-01-01T12:00:00.500000Z"),
            ("2026-01-01 12:00:00", "2026-01-01T12:00:00.000000Z"),
        ],
    )
    def test_a_time_without_offset_is_utc(
        self,
        store: MemoryStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        written: str,
        kept_as: str,
    ) -> None:
        """Wherever it is imported; one with an offset is kept as written."""
        monkeypatch.setenv("TZ", "America/New_York")
        event = one(store, tmp_path / "events.db", timestamp=written)
        assert event.timestamp == kept_as
        assert 1_767_268_800_000_000 <= event.instant <= 1_767_268_800_500_000


class TestOrder:
    """Events come in the order they were written, each aggregate's in that of its versions."""

    def test_rows_that_were_put_together_from_files(
        self, store: MemoryStore, tmp_path: Path
    ) -> None:
        """A row that lies before an earlier version of its aggregate waits for that one."""
        path = tmp_path / "events.db"
        versions = [("a", 2), ("b", 1), ("a", 3), ("a", 1), ("b", 2), ("c", 1)]
        new_file(
            path,
            *({"aggregate_id": about, "aggregate_version": version} for about, version in versions),
        )
        assert import_eventuali(store, path).kept == 6
        found = [(event.aggregate_id, event.version) for event in kept(store)]
        assert found == [("b", 1), ("a", 1), ("a", 2), ("a", 3), ("b", 2), ("c", 1)]
        numbers = [event.payload["number"] for event in kept(store)]
        assert numbers == [2, 4, 1, 3, 5, 6]

    def test_many_rows(self, store: MemoryStore, tmp_path: Path) -> None:
        """More than one group keep their order too, and progress is told."""
        path = new_file(tmp_path / "events.db", *({} for _ in range(2100)))
        told: list[tuple[int, int, int | None]] = []
        imported = import_eventuali(store, path, progress=lambda *each: told.append(each))
        assert imported.kept == 2100
        assert [event.payload["number"] for event in kept(store)] == [*range(1, 2101)]
        assert told == [(1000, 1000, 2100), (2000, 2000, 2100), (2100, 2100, 2100)]


class TestAgain:
    """Nothing is repeated."""

    def test_a_file_that_grew(self, store: MemoryStore, tmp_path: Path) -> None:
        """Only what is new is kept."""
        path = new_file(tmp_path / "events.db", agent("a"), workflow("b"))
        assert import_eventuali(store, path) == (2, 2, 0, 0, ())
        assert import_eventuali(store, path) == (2, 0, 2, 0, ())
        add(path, agent("c", 2))
        assert import_eventuali(store, path) == (3, 1, 2, 0, ())
        assert [event.type for event in kept(store)] == ["a", "b", "c"]

    def test_a_store_that_took_only_the_beginning(self, tmp_path: Path) -> None:
        """After a break it goes on where it was."""

        class Broken(MemoryStore):
            broken = False

            def append_all(self, batches: Any) -> Any:
                if self.broken:
                    raise StoreUnavailable("away")
                self.broken = True
                return super().append_all(batches)

        store = Broken()
        path = new_file(tmp_path / "events.db", *({} for _ in range(1500)))
        with pytest.raises(StoreUnavailable):
            import_eventuali(store, path)
        assert store.head() == 1000
        store.append_all = super(Broken, store).append_all  # type: ignore[method-assign]  # mended
        assert import_eventuali(store, path) == (1500, 500, 1000, 0, ())


class TestTheFile:
    """It is left as it is."""

    def test_at_rest(self, store: MemoryStore, tmp_path: Path) -> None:
        """No byte changes, and nothing lies beside it afterwards."""
        path = new_file(tmp_path / "events.db", agent("a"))
        before = files(tmp_path)
        assert import_eventuali(store, path).kept == 1
        assert files(tmp_path) == before
        assert [*before] == ["events.db"]

    def test_with_events_in_its_log(self, store: MemoryStore, tmp_path: Path) -> None:
        """What stands in the WAL alone is imported, and stays there."""
        path = new_file(tmp_path / "events.db", agent("a"))
        with closing(sqlite3.connect(path)) as server:
            insert(server, workflow("b"))
            before = files(tmp_path)
            assert before["events.db-wal"]
            assert import_eventuali(store, path).kept == 2
            after = files(tmp_path)
            for name in ("events.db", "events.db-wal"):
                assert after[name] == before[name]
            insert(server, agent("c", 2))
        assert import_eventuali(store, path) == (3, 1, 2, 0, ())

    def test_that_a_crash_left_with_a_log(self, store: MemoryStore, tmp_path: Path) -> None:
        """Its WAL is read, whether or not SQLite's index of it is there."""
        path = new_file(tmp_path / "there" / "events.db", agent("a"))
        left = tmp_path / "left"
        left.mkdir()
        with closing(sqlite3.connect(path)) as server:
            insert(server, workflow("b"))
            for name in ("events.db", "events.db-wal"):
                (left / name).write_bytes((path.parent / name).read_bytes())
        before = files(left)
        assert import_eventuali(store, left / "events.db").kept == 2
        assert {name: files(left)[name] for name in before} == before

    def test_that_is_written_meanwhile(self, store: MemoryStore, tmp_path: Path) -> None:
        """Whoever writes to it while it is read, every event that was there is kept, once."""
        path = new_file(tmp_path / "events.db", *({} for _ in range(1200)))

        versions = iter(range(1, 100))

        def write(*_: int | None) -> None:
            with closing(sqlite3.connect(path)) as server:
                insert(server, {"aggregate_id": "late", "aggregate_version": next(versions)})
                server.execute("PRAGMA wal_checkpoint(PASSIVE)")

        assert not import_eventuali(store, path, progress=write).rejected
        numbers = [event.payload["number"] for event in kept(store)]
        assert {*range(1, 1201)} <= {*numbers}
        assert len(numbers) == len({*numbers})
        import_eventuali(store, path)
        with closing(sqlite3.connect(path)) as server:
            (whole,) = server.execute("SELECT count(*) FROM events").fetchone()
        assert store.head() == whole > 1200

    def test_with_a_name_that_is_hard_to_say(self, store: MemoryStore, tmp_path: Path) -> None:
        """A path is a path, whatever a URL would make of it."""
        path = new_file(tmp_path / "50% of #1? ü" / "events.db", agent("a"))
        assert import_eventuali(store, path).kept == 1

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "No such file"),
            (b'{"type": "a"}\n' * 100, "not a database"),
            (b"", "lacks aggregate_id"),
        ],
        ids=["missing", "text", "empty"],
    )
    def test_that_is_none(
        self, store: MemoryStore, tmp_path: Path, content: bytes | None, reason: str
    ) -> None:
        """The error names it and says why; nothing was changed."""
        path = tmp_path / "events.db"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(TransferError, match=reason) as raised:
            import_eventuali(store, path)
        assert str(path) in str(raised.value)
        assert store.head() == 0

    def test_that_is_a_directory(self, store: MemoryStore, tmp_path: Path) -> None:
        """It is told like a file that is none."""
        with pytest.raises(TransferError, match="cannot be read"):
            import_eventuali(store, tmp_path)

    def test_that_is_one_of_tidings(self, store: MemoryStore, tmp_path: Path) -> None:
        """The error leads to `tidings migrate`."""
        with open_store(f"sqlite:///{tmp_path}/events.db") as other:
            other.append([Event("a")])
        with pytest.raises(TransferError, match="tidings migrate"):
            import_eventuali(store, tmp_path / "events.db")

    def test_that_is_damaged(self, store: MemoryStore, tmp_path: Path) -> None:
        """What can be read is kept, and the error says how far that was."""
        path = new_file(tmp_path / "events.db", *({"event_data": {"x": "y" * 900}},) * 3000)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle:] = b"\xff" * (len(content) - middle)
        path.write_bytes(content)
        with pytest.raises(TransferError, match=r"cannot be read.*repeats nothing"):
            import_eventuali(store, path)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"event_data": "{"}, "event_data"),
        ({"event_data": b"\xff\xfe{"}, "event_data"),
        ({"event_data": "[" * 100_000}, "event_data"),
        ({"event_data": {"x": "y" * 1_100_000}}, "payload"),
        ({"event_data_type": "xml"}, "must be json or protobuf"),
        ({"metadata": "[]"}, "metadata"),
        ({"metadata": METADATA | {"user_id": 7}}, "user_id"),
        ({"timestamp": "yesterday"}, "ISO 8601"),
        ({"timestamp": "0001-01-01T00:00:00+23:00"}, "ISO 8601"),
        ({"aggregate_id": ""}, "aggregate_id"),
        ({"aggregate_id": "a\nb"}, "aggregate_id"),
        ({"event_type": "x" * 300}, "type"),
        (agent("x" * 300), "type"),
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_row_that_is_no_event_is_told(
    store: MemoryStore, tmp_path: Path, columns: dict[str, Any], reason: str
) -> None:
    """By its number and reason; the rows around it are kept."""
    path = new_file(tmp_path / "events.db", {}, columns, {})
    imported = import_eventuali(store, path)
    assert imported[:4] == (3, 2, 0, 1)
    ((number, said),) = imported.reasons
    assert number == 2
    assert reason in said
    assert METADATA["headers"] == {}
    assert [event.payload["number"] for event in kept(store)] == [1, 3]


def test_an_id_that_is_taken_is_told(store: MemoryStore, tmp_path: Path) -> None:
    """An event there that says something else under the same id stays as it is."""
    path = new_file(tmp_path / "events.db", {}, {})
    store.append([Event("mine", source="eventuali", id="be4f712a-2f70-4102-a836-000000000002")])
    imported = import_eventuali(store, path)
    assert imported[:4] == (2, 1, 0, 1)
    assert imported.reasons[0].line == 2
