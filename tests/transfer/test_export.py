"""An export is whole or goes on; what was at its target stays until then."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.dying import calls_of, kill
from tests.transfer.events import fill, kept
from tidings.errors import InvalidQuery, InvalidSetting, MissingExtra, TransferError
from tidings.event import Event
from tidings.store import open_store
from tidings.store.base import Reading
from tidings.store.memory import MemoryStore
from tidings.store.query import Filter, Query
from tidings.transfer import Exported, Imported, export_events, exporting, import_events


class Interrupted(MemoryStore):
    """A store whose readers are interrupted after some events, as by a kill."""

    events_left = 0

    def read(self, query: Query) -> Reading:
        """As the store does it, until no events are left."""
        return _Interrupted(super().read(query), self)


class _Interrupted(Reading):
    def __init__(self, reading: Reading, store: Interrupted) -> None:
        super().__init__(iter(()), reading.position)
        self._reading, self._store = reading, store

    def __iter__(self) -> Iterator[Event]:
        while self._store.events_left:
            event = next(self._reading, None)
            self.position = self._reading.position
            if event is None:
                return
            self._store.events_left -= 1
            yield event
        raise KeyboardInterrupt


@pytest.fixture
def store() -> MemoryStore:
    """A store with 100 events, each tenth of them a failure."""
    store = MemoryStore()
    store.append(
        [
            Event("job", status="" if n % 10 else "failure", payload={"n": n, "text": f"Nr {n}!"})
            for n in range(1, 101)
        ]
    )
    return store


def exported(store: MemoryStore, query: Query | None = None) -> tuple[Exported, list[int]]:
    """What an export says, and the positions in its file."""
    file = io.BytesIO()
    said = export_events(store, file, query=query)
    return said, [json.loads(line)["position"] for line in file.getvalue().splitlines()]


class TestQuery:
    """A query says which events are exported, in the order of positions."""

    @pytest.mark.parametrize(
        ("query", "positions", "position"),
        [
            (Query(), list(range(1, 101)), 100),
            (Query(status="failure"), list(range(10, 101, 10)), 100),
            (Query(status="failure", limit=3), [10, 20, 30], 30),
            (Query(after=95), [96, 97, 98, 99, 100], 100),
            (Query(before=4), [1, 2, 3], 3),
            (Query(after=40, before=44, limit=2), [41, 42], 42),
            (Query(limit=0), [], 0),
            (Query(after=100), [], 100),
            (Query(contains="NR 9"), [9, *range(90, 100)], 100),
            (Query(contains="nr 9", limit=2), [9, 90], 90),
            (Query(contains="nr 9", exclude=Filter(status="failure"), after=9, limit=1), [91], 91),
        ],
        ids=repr,
    )
    def test_which(
        self, store: MemoryStore, query: Query, positions: list[int], position: int
    ) -> None:
        """Those that match, oldest first, and up to where that is all of them."""
        said, found = exported(store, query)
        assert found == positions
        if query.before is None:
            assert said == Exported(len(positions), position)
        assert said.position >= (positions or [0])[-1]

    def test_going_on(self, store: MemoryStore) -> None:
        """The next export from `position` on misses and repeats nothing."""
        first, positions = exported(store, Query(status="failure", limit=4))
        _, more = exported(store, Query(status="failure", after=first.position))
        assert positions + more == list(range(10, 101, 10))

    def test_backwards(self, store: MemoryStore) -> None:
        """An export that turned the order around would give other versions when imported."""
        with pytest.raises(InvalidQuery, match="forwards"):
            exported(store, Query(backwards=True))


class TestTarget:
    """A target is a path, stdout, a device or an object open for bytes."""

    def test_what_is_there_is_replaced_in_the_end(self, tmp_path: Path) -> None:
        """An export that fails leaves the old file as it was."""
        path, store = tmp_path / "events", Interrupted()
        path.write_text("old")
        fill(store, 10)
        with pytest.raises(KeyboardInterrupt):
            export_events(store, path)
        assert path.read_text() == "old"
        store.events_left = 99
        assert export_events(store, path).count == 10
        assert len(path.read_text().splitlines()) == 10
        assert os.listdir(tmp_path) == ["events"]

    def test_a_link_stays_a_link(self, tmp_path: Path, store: MemoryStore) -> None:
        """The file that a link names is replaced."""
        (tmp_path / "events").write_text("old")
        (tmp_path / "link").symlink_to("events")
        export_events(store, str(tmp_path / "link"))
        assert (tmp_path / "link").is_symlink()
        assert len((tmp_path / "events").read_text().splitlines()) == 100

    def test_a_device_is_written_to(self, tmp_path: Path, store: MemoryStore) -> None:
        """A pipe or device is not replaced by a file."""
        os.mkfifo(tmp_path / "pipe")
        with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
            export_events(store, tmp_path / "pipe")
            assert len(reader.communicate()[0].splitlines()) == 100
        assert os.listdir(tmp_path) == ["pipe"]

    def test_stdout(self, capfdbinary: pytest.CaptureFixture[bytes], store: MemoryStore) -> None:
        """`-` is stdout, compressed if asked for."""
        export_events(store, "-")
        assert len(capfdbinary.readouterr().out.splitlines()) == 100
        export_events(store, "-", compression="gz")
        again = MemoryStore()
        import_events(again, io.BytesIO(capfdbinary.readouterr().out))
        assert kept(again) == kept(store)

    def test_a_reader_that_goes_away(self, store: MemoryStore) -> None:
        """A broken pipe is given as it is: the command ends quietly."""
        with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
            assert isinstance(reader.stdin, io.BufferedWriter)
            reader.wait()
            with pytest.raises(BrokenPipeError):
                export_events(store, reader.stdin)
            with suppress(BrokenPipeError):
                reader.stdin.close()

    @pytest.mark.parametrize("place", ["gone/events", "file/events", "directory"])
    def test_a_place_that_cannot_be_written(
        self, tmp_path: Path, store: MemoryStore, place: str
    ) -> None:
        """The error names path and reason."""
        (tmp_path / "file").write_text("mine")
        (tmp_path / "directory").mkdir()
        with pytest.raises(TransferError, match=f"{tmp_path}/{place} could not go on"):
            export_events(store, tmp_path / place)

    def test_wrong_names(self, tmp_path: Path, store: MemoryStore) -> None:
        """A form or compression that is not known is refused before anything is written."""
        with pytest.raises(InvalidSetting, match="ndjson or cloudevents"):
            export_events(store, tmp_path / "events", form="xml")
        with pytest.raises(InvalidSetting, match="gz or zst"):
            export_events(store, io.BytesIO(), compression="rar")

    def test_without_the_extra(
        self, tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without zstd the error is the line that installs it, for reading too."""
        export_events(store, tmp_path / "there.zst")
        monkeypatch.setitem(sys.modules, "backports.zstd", None)
        monkeypatch.setitem(sys.modules, "compression.zstd", None)
        monkeypatch.delattr("backports.zstd", raising=False)
        with pytest.raises(MissingExtra, match=r"pip install 'tidings\[zstd\]'"):
            export_events(store, tmp_path / "events.zst")
        with pytest.raises(MissingExtra, match=r"pip install 'tidings\[zstd\]'"):
            import_events(store, tmp_path / "there.zst")

    def test_progress(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Now and then it says how far it is, in events and positions."""
        monkeypatch.setattr(exporting, "_CHUNK_LINES", 10)
        store, said = MemoryStore(), list[tuple[int, int, int | None]]()
        fill(store, 25)
        export_events(
            store,
            tmp_path / "events",
            query=Query(after=2),
            progress=lambda *numbers: said.append(numbers),
        )
        assert said == [(10, 12, 25), (20, 22, 25), (23, 25, 25)]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
class TestResume:
    """A killed export goes on where it was, and ends as if it had not been killed."""

    @pytest.fixture(autouse=True)
    def often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Points to go on from come every 20 events."""
        monkeypatch.setattr(exporting, "_CHUNK_LINES", 5)
        monkeypatch.setattr(exporting, "_SAVE_EVERY", 4)

    def killed(self, path: Path, after: int) -> Interrupted:
        """A store whose export ended after some of its 100 events."""
        store = Interrupted()
        fill(store, 100)
        store.events_left = after
        with pytest.raises(KeyboardInterrupt):
            export_events(store, path)
        assert not path.exists()
        store.events_left = 1_000
        return store

    def content(self, path: Path) -> list[Event]:
        """The events in a file."""
        store = MemoryStore()
        imported = import_events(store, path)
        assert imported.known == imported.rejected == 0
        return kept(store)

    @pytest.mark.parametrize("after", [0, 5, 19, 20, 21, 40, 57, 99, 100])
    def test_it_goes_on(self, tmp_path: Path, ending: str, after: int) -> None:
        """Nothing is missing or twice, and only what was not safe is read again."""
        path = tmp_path / f"events{ending}"
        store = self.killed(path, after)
        assert export_events(store, path, resume=True) == Exported(100, 100)
        assert 1_000 - store.events_left == 100 - after // 20 * 20
        assert self.content(path) == list(MemoryStore.read(store, Query()))
        assert os.listdir(tmp_path) == [path.name]

    def test_a_torn_end_is_cut_off(self, tmp_path: Path, ending: str) -> None:
        """What a kill or a power loss left after the last safe point does not count."""
        path = tmp_path / f"events{ending}"
        store = self.killed(path, 50)
        with Path(f"{path}.part").open("ab") as part:
            part.write(b'{"type": "torn\x1f\x8b')
        assert export_events(store, path, resume=True).count == 100
        assert len(self.content(path)) == 100

    def test_a_part_that_lost_its_end(self, tmp_path: Path, ending: str) -> None:
        """A part file that is shorter than it should be is begun anew."""
        path = tmp_path / f"events{ending}"
        store = self.killed(path, 50)
        os.truncate(f"{path}.part", 10)
        assert export_events(store, path, resume=True).count == 100
        assert len(self.content(path)) == 100

    @pytest.mark.parametrize("there", ["", "{", "[]", '{"bytes": 3}', '{"bytes": null}'])
    def test_a_broken_note(self, tmp_path: Path, ending: str, there: str) -> None:
        """Where the note of how far it was is of no use, it is begun anew."""
        path = tmp_path / f"events{ending}"
        store = self.killed(path, 50)
        Path(f"{path}.resume").write_text(there)
        assert export_events(store, path, resume=True).count == 100
        assert len(self.content(path)) == 100

    def test_another_export(self, tmp_path: Path, ending: str) -> None:
        """What another query or form left is not gone on with."""
        path = tmp_path / f"events{ending}"
        store = self.killed(path, 50)
        query = Query(types="other")
        assert export_events(store, path, query=query, resume=True) == Exported(0, 100)
        assert self.content(path) == []

    def test_beginning_anew(self, tmp_path: Path, ending: str) -> None:
        """Without `resume` nothing of what was left is used, also not after another kill."""
        path = tmp_path / f"events{ending}"
        store = self.killed(path, 50)
        # More bytes than the first export had saved, but fewer events than are saved at once.
        store.append([Event("large", payload=os.urandom(50_000).hex()) for _ in range(19)])
        store.prune(100)
        store.events_left = 19
        with pytest.raises(KeyboardInterrupt):
            export_events(store, path)
        store.events_left = 1_000
        assert export_events(store, path, resume=True) == Exported(19, 119)
        assert {event.type for event in self.content(path)} == {"large"}

    def test_with_a_limit(self, tmp_path: Path, ending: str) -> None:
        """The limit is that of both parts together."""
        path = tmp_path / f"events{ending}"
        store, query = Interrupted(), Query(limit=45, after=3)
        fill(store, 100)
        store.events_left = 30
        with pytest.raises(KeyboardInterrupt):
            export_events(store, path, query=query)
        store.events_left = 1_000
        assert export_events(store, path, query=query, resume=True) == Exported(45, 48)
        assert [event.payload["n"] for event in self.content(path)] == list(range(3, 48))

    def test_two_at_once(self, tmp_path: Path, ending: str) -> None:
        """A second export to the same target is refused, and the first goes on."""
        path = tmp_path / f"events{ending}"
        store = MemoryStore()
        fill(store, 100)
        refused = list[str]()

        def again(*_: object) -> None:
            with pytest.raises(TransferError, match="another export") as raised:
                export_events(store, path)
            refused.append(str(raised.value))

        export_events(store, path, progress=again)
        assert refused
        assert len(self.content(path)) == 100


EXPORTER = """
import sys
from tests.dying import killed_at
from tidings.store import open_store
from tidings.transfer import export_events, exporting
exporting._CHUNK_LINES, exporting._SAVE_EVERY = 5, 2
store = open_store(sys.argv[3])
store.head()
with killed_at(int(sys.argv[1])):
    export_events(store, sys.argv[2])
"""


def test_killed_at_any_call(tmp_path: Path) -> None:
    """Before and after calls of the system, some twenty of them: the next run ends it."""
    url = f"sqlite:///{tmp_path}/events.db"
    with open_store(url) as store:
        fill(store, 43)
        calls = calls_of(EXPORTER, tmp_path / "counted.gz", url)
        assert calls > 60
        for call in range(os.getpid() % 3 + 1, calls, calls // 20):
            path = tmp_path / str(call) / "events.gz"
            path.parent.mkdir()
            kill(EXPORTER, call, path, url)
            assert export_events(store, path, resume=True) == Exported(43, 43)
            again = MemoryStore()
            assert import_events(again, path) == Imported(43, 43, 0, 0)
            assert kept(again) == kept(store)
            assert os.listdir(path.parent) == ["events.gz"]


def test_chunks_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large events are not gathered by the thousand."""
    monkeypatch.setattr(exporting, "_CHUNK_BYTES", 300_000)
    store, said = MemoryStore(), list[int]()
    fill(store, 7, size=100_000)
    export_events(store, io.BytesIO(), progress=lambda count, *_: said.append(count))
    assert said == [3, 6, 7]
