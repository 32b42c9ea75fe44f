"""An import takes every line that is an event, and says of each other one why it is none."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dying import calls_of, kill
from tests.transfer.events import fill, kept
from tidings.errors import InvalidSetting, OutcomeUnknown, StoreUnavailable, TransferError
from tidings.event import Event
from tidings.store import open_store
from tidings.store.base import Batch
from tidings.store.memory import MemoryStore
from tidings.transfer import (
    Imported,
    export_events,
    exporting,
    import_events,
    importing,
    lines,
)

SCITEX = (
    b'{"type": "test_complete", "project": "figrecipe", "status": "success", '
    b'"payload": {"exit_code": 0}, "source": "local", "timestamp": "2026-01-02T03:04:05.678901"}\n'
)


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


def imported(store: MemoryStore, *content: bytes, form: str | None = None) -> Imported:
    """Import these lines."""
    return import_events(store, io.BytesIO(b"".join(content)), form=form)


class TestLines:
    """Each line stands for itself."""

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"nonsense", "not one whole JSON object"),
            (b'{"type": "job_do', "not one whole JSON object"),
            (b'{"type": "a"} {"type": "b"}', "not one whole JSON object"),
            (b"[]", "must be an object"),
            (b"null", "must be an object"),
            (b"7", "must be an object"),
            (b"{}", "type None must be given"),
            (b'{"type": ""}', "must not be empty"),
            (b'{"type": "a", "colour": "red"}', "is not known"),
            (b'{"type": "a", "payload": NaN}', "payload"),
            (b'{"type": "a", "payload": "\\ud800"}', "surrogates"),
            (b'{"type": "a", "payload": "' + b"x" * 1_100_000 + b'"}', "bytes as JSON"),
            (b'{"type": "a", "payload": ' + b"9" * 5_000 + b"}", "digits"),
            (b'{"type": "a", "payload": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested"),
            (b'{"type": "caf\xe9"}', "not UTF-8"),
            (b"\xff\xfe{\0}\0", "not UTF-8"),
            (b'{"specversion": "1.0"}', ""),
            (b'{"specversion": "0.3", "id": "1", "source": "a", "type": "b"}', "specversion"),
            (b'{"id": "taken", "type": "other"}', "position 1"),
            (b"x" * 11_000_000, "longer than any event"),
        ],
        ids=lambda value: value[:24] if isinstance(value, str) else len(value),
    )
    def test_a_bad_line_fails_alone(self, store: MemoryStore, line: bytes, reason: str) -> None:
        """It is named with number and reason, and the lines around it are kept."""
        store.append([Event("job", id="taken")])
        said = imported(store, b'{"type": "before"}\n\n', line, b'\n{"type": "after"}\n')
        assert said[:4] == (3, 2, 0, 1)
        assert said.reasons[0].line == 3
        assert reason in said.reasons[0].reason
        assert [event.type for event in kept(store)] == ["job", "before", "after"]

    def test_a_torn_last_line(self, store: MemoryStore) -> None:
        """It is said that the file ends there."""
        said = imported(store, b'{"type": "whole"}\n{"type": "to')
        assert said[:4] == (2, 1, 0, 1)
        assert said.reasons[0].line == 2
        assert "the file ends within it" in said.reasons[0].reason

    def test_a_last_line_without_newline(self, store: MemoryStore) -> None:
        """A line that is whole without its newline counts."""
        assert imported(store, b'{"type": "a"}\n{"type": "b"}') == Imported(2, 2, 0, 0)

    def test_other_ends_of_lines(self, store: MemoryStore) -> None:
        """A mark at the beginning, CRLF and blank lines are no reason to refuse a file."""
        content = b'\xef\xbb\xbf{"type": "a"}\r\n\r\n  \n\t{"type": "b"} \r\n'
        assert imported(store, content) == Imported(2, 2, 0, 0)

    def test_an_empty_file(self, store: MemoryStore) -> None:
        """Nothing in, nothing kept."""
        assert imported(store) == Imported(0, 0, 0, 0)

    def test_only_the_first_reasons_are_given(self, store: MemoryStore) -> None:
        """A file full of something else takes no memory."""
        said = imported(store, b"nonsense\n" * 5_000)
        assert said.rejected == 5_000
        assert [reason.line for reason in said.reasons] == list(range(1, 101))

    def test_reasons_come_in_the_order_of_lines(self, store: MemoryStore) -> None:
        """Whether a line is refused when it is read or by the store."""
        store.append([Event("job", id="taken")])
        said = imported(store, b'{"id": "taken", "type": "other"}\nnonsense\n')
        assert [reason.line for reason in said.reasons] == [1, 2]

    def test_the_largest_payload_is_a_setting(
        self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where larger payloads are allowed they are imported too."""
        line = b'{"type": "a", "payload": "' + b"x" * 2_000_000 + b'"}\n'
        assert imported(store, line).rejected == 1
        monkeypatch.setenv("TIDINGS_MAX_PAYLOAD", "3000000")
        assert imported(store, line).kept == 1

    @given(st.lists(st.binary(max_size=40)))
    def test_any_bytes(self, content: list[bytes]) -> None:
        """Whatever a file holds: each line is kept or has a reason, and nothing else is raised."""
        store = MemoryStore()
        said = imported(store, b'{"type": "first"}\n', b"\n".join(content))
        assert said.read == said.kept + said.known + said.rejected
        assert said.kept == store.head() >= 1

    @given(
        st.dictionaries(
            st.sampled_from(
                ["specversion", "id", "source", "type", "time", "data", "subject", "x"]
            ),
            st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none()) | st.just("1.0"),
        )
    )
    def test_any_json(self, data: dict[str, object]) -> None:
        """Whatever an object holds, as an event or a CloudEvent: it is kept or has a reason."""
        store = MemoryStore()
        said = imported(store, json.dumps(data).encode())
        assert said.kept + said.rejected == 1


class TestForms:
    """NDJSON and CloudEvents are told apart line by line, or asked for."""

    CLOUD = b'{"specversion": "1.0", "id": "1", "source": "a", "type": "cloud", "data": {"n": 1}}\n'

    def test_mixed(self, store: MemoryStore) -> None:
        """Both may stand in one file."""
        assert imported(store, self.CLOUD, SCITEX) == Imported(2, 2, 0, 0)
        assert [event.type for event in kept(store)] == ["cloud", "test_complete"]
        assert kept(store)[0].payload == {"n": 1}

    @pytest.mark.parametrize(("form", "line"), [("ndjson", 1), ("cloudevents", 2)])
    def test_asked_for(self, store: MemoryStore, form: str, line: int) -> None:
        """The other form is then refused."""
        said = imported(store, self.CLOUD, SCITEX, form=form)
        assert said[:4] == (2, 1, 0, 1)
        assert said.reasons[0].line == line

    def test_another_name(self, store: MemoryStore) -> None:
        """A form that is not known is refused."""
        with pytest.raises(InvalidSetting, match="ndjson or cloudevents"):
            imported(store, form="xml")


class TestWithoutId:
    """Lines of scitex-events have no id; they get one that stays."""

    def test_fields(self, store: MemoryStore) -> None:
        """The six fields arrive; the time is kept as written."""
        imported(store, SCITEX)
        (event,) = kept(store)
        assert event.to_dict().items() >= json.loads(SCITEX).items()

    def test_again(self, store: MemoryStore) -> None:
        """A second import of the same or a grown file repeats nothing."""
        other = SCITEX.replace(b"figrecipe", b"other")
        assert imported(store, SCITEX, other) == Imported(2, 2, 0, 0)
        assert imported(store, SCITEX, other) == Imported(2, 0, 2, 0)
        assert imported(store, SCITEX, other, SCITEX.replace(b"0}", b"1}")) == Imported(3, 1, 2, 0)

    def test_equal_lines_are_as_many_events(self, store: MemoryStore) -> None:
        """Two equal lines are two events, and stay two."""
        assert imported(store, SCITEX, SCITEX, SCITEX) == Imported(3, 3, 0, 0)
        assert imported(store, SCITEX, SCITEX, SCITEX, SCITEX) == Imported(4, 1, 3, 0)

    def test_lines_without_a_time(self, store: MemoryStore) -> None:
        """They are known by their number, however far apart equal ones stand."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "_REMEMBERED_LINES", 1)
            content = [b'{"type": "a"}\n', SCITEX, b'{"type": "b"}\n', b'{"type": "a"}\n']
            assert imported(store, *content) == Imported(4, 4, 0, 0)
            assert imported(store, *content) == Imported(4, 0, 4, 0)

    def test_what_is_remembered_is_bounded(self) -> None:
        """Millions of lines without id do not fill the memory."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "_REMEMBERED_LINES", 10)
            reader = lines.EventReader(None)
            for number in range(100):
                reader.event(number, SCITEX.replace(b"figrecipe", b"%d" % number))
            assert len(reader._ids._seen) == 10


class TestKnown:
    """An event that is there already is not repeated."""

    def test_in_the_store_and_in_the_file(self, store: MemoryStore) -> None:
        """Known is what was there before, or stood in the file before."""
        store.append([Event("a", status="", id="1")])
        line = b'{"type": "%s", "id": "%d"}\n'
        content = [line % (b"a", 1), line % (b"b", 2), line % (b"b", 2), line % (b"c", 2)]
        assert imported(store, *content)[:4] == (4, 1, 2, 1)
        assert [event.id for event in kept(store)] == ["1", "2"]


class TestSource:
    """A source is a path, stdin, or an object open for bytes, compressed or not."""

    def test_stdin(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """`-` is stdin, and it stays open."""
        stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(SCITEX)))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert import_events(store, "-").kept == 1
        assert not stdin.buffer.closed

    def test_objects_stay_open(self, store: MemoryStore, tmp_path: Path) -> None:
        """What the caller opened the caller closes."""
        (tmp_path / "file").write_bytes(SCITEX)
        files: list[BinaryIO] = [io.BytesIO(SCITEX), (tmp_path / "file").open("rb")]
        files.append((tmp_path / "file").open("rb", buffering=0))
        for file in files:
            import_events(store, file)
            assert not file.closed
            file.close()
        assert store.head() == 1

    def test_a_pipe(self, store: MemoryStore) -> None:
        """What has no end yet is read until it has one; how much there is is not known."""
        said = list[tuple[int, int, int | None]]()
        with subprocess.Popen(["printf", "%s", SCITEX], stdout=subprocess.PIPE) as writer:
            assert isinstance(writer.stdout, io.BufferedReader)
            import_events(store, writer.stdout, progress=lambda *numbers: said.append(numbers))
        assert said == [(1, 0, None)]

    @pytest.mark.parametrize("place", ["gone", "directory", "file/events"])
    def test_what_cannot_be_read(self, store: MemoryStore, tmp_path: Path, place: str) -> None:
        """The error names path and reason."""
        (tmp_path / "directory").mkdir()
        (tmp_path / "file").write_text("mine")
        with pytest.raises(TransferError, match=f"{tmp_path}/{place} cannot be read"):
            import_events(store, tmp_path / place)

    @pytest.mark.parametrize("ending", ["gz", "zst"])
    def test_damage(
        self, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        """Of a file that ends early or has a wrong byte, what stands before is imported."""
        monkeypatch.setattr(exporting, "_CHUNK_LINES", 10)
        source, path = MemoryStore(), tmp_path / f"events.{ending}"
        fill(source, 1_000)
        export_events(source, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 3 // 4])
        with pytest.raises(TransferError, match="cannot be read on after line"):
            import_events(store, path)
        count = store.head()
        assert 500 <= count < 1_000
        path.write_bytes(whole)
        assert import_events(store, path) == Imported(1_000, 1_000 - count, count, 0)
        path.write_bytes(whole[:100] + bytes(50) + whole[150:])
        with pytest.raises(TransferError, match="cannot be read on after line"):
            import_events(store, path)

    def test_progress(self, store: MemoryStore, tmp_path: Path) -> None:
        """Now and then it says how far it is, in lines and bytes."""
        (tmp_path / "file").write_bytes(b'{"type": "a"}\n' * 2_500)
        said = list[tuple[int, int, int | None]]()
        import_events(store, tmp_path / "file", progress=lambda *numbers: said.append(numbers))
        assert [numbers[0] for numbers in said] == [1_000, 2_000, 2_500]
        assert said[-1] == (2_500, 35_000, 35_000)
        assert all(0 < done <= 35_000 for _, done, _ in said)


class TestStrict:
    """With `strict` the first bad line ends the import."""

    @pytest.mark.parametrize("bad", [b"nonsense\n", b'{"id": "taken", "type": "other"}\n'])
    def test_the_first_bad_line(self, store: MemoryStore, bad: bytes) -> None:
        """The error names it; what stands before is kept."""
        store.append([Event("job", id="taken")])
        file = io.BytesIO(b'{"type": "before"}\n' + bad + b'{"type": "after"}\n' * 5_000)
        with pytest.raises(TransferError, match="the file object, line 2: "):
            import_events(store, file, strict=True)
        assert kept(store)[1].type == "before"
        assert store.head() < 2_000


class Unwilling(MemoryStore):
    """A store that raises instead of taking events, from the n-th group on."""

    def __init__(self, error: Exception, group: int) -> None:
        super().__init__()
        self.error, self.group = error, group

    def append_all(self, batches: list[Batch]) -> list[list[Event] | Exception]:  # type: ignore[override]  # a list is a sequence
        """As the store does it, or the error."""
        self.group -= 1
        if self.group == 0:
            raise self.error
        return super().append_all(batches)


IMPORTER = """
import sys
from tests.dying import killed_at
from tidings.store import open_store
from tidings.transfer import import_events, importing
importing._GROUP_EVENTS = 7
store = open_store(sys.argv[3])
store.head()
with killed_at(int(sys.argv[1])):
    import_events(store, sys.argv[2])
"""


class TestCrash:
    """An import that ended in the middle is run again, and nothing is missing or twice."""

    @pytest.mark.parametrize("error", [StoreUnavailable("away"), OutcomeUnknown("broken")])
    def test_a_store_that_stops(self, error: Exception) -> None:
        """The store's error comes out; what was kept before is known afterwards."""
        store, content = Unwilling(error, group=3), b'{"type": "a"}\n' * 2_500
        with pytest.raises(type(error)):
            imported(store, content)
        assert store.head() == 2_000
        assert imported(store, content) == Imported(2_500, 500, 2_000, 0)

    def test_killed_at_any_call(self, tmp_path: Path) -> None:
        """Before and after calls of the system or of SQLite, some twenty of them."""
        source, path = MemoryStore(), tmp_path / "events.gz"
        fill(source, 40)
        export_events(source, path)
        calls = calls_of(IMPORTER, path, f"sqlite:///{tmp_path}/counted.db")
        assert calls > 60
        for call in range(os.getpid() % 3 + 1, calls, calls // 20):
            url = f"sqlite:///{tmp_path}/{call}.db"
            kill(IMPORTER, call, path, url)
            with open_store(url) as store:
                before = store.head()
                assert import_events(store, path) == Imported(40, 40 - before, before, 0)
                assert kept(store) == kept(source)


def test_groups_are_bounded_in_bytes(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large lines are not gathered by the thousand."""
    sizes, append_all = list[int](), store.append_all

    def noted(batches: list[Batch]) -> list[list[Event] | Exception]:
        sizes.append(len(batches))
        return append_all(batches)

    monkeypatch.setattr(store, "append_all", noted)
    monkeypatch.setattr(importing, "_GROUP_BYTES", 300_000)
    imported(store, *(b'{"type": "a", "payload": "' + b"x" * 100_000 + b'"}\n' for _ in range(7)))
    assert sizes == [3, 3, 1]
