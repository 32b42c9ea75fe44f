"""What is no event is put aside with its reason, and never deleted."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.spool.files import drop, kept, listed, reason_for
from tidings.event import Event
from tidings.spool import Collected, Spool
from tidings.store.memory import MemoryStore

FIELDS = {*Event("any").to_dict(), "context", "extensions", "aggregate_type", "aggregate_id"}
FIELDS |= {"position", "version", "recorded_at", "redacted", "unknown"}


class TestRejected:
    """What is no event is put aside with its reason, and never deleted."""

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "not one whole JSON object"),
            (b'{"type": "job_do', "not one whole JSON object"),
            (b'{"type": "a"}\n{"type": "b"}\n', "not one whole JSON object"),
            (b'["job_done"]', "must be an object"),
            (b"null", "must be an object"),
            (b"{}", "type None must be given"),
            (b'{"type": ""}', "must not be empty"),
            (b'{"type": "a\\nb"}', "control characters"),
            (b'{"type": "a", "payload": NaN}', "payload"),
            (b'{"type": "a", "payload": "\\ud800"}', "surrogates"),
            (b'{"type": "a", "colour": "red"}', "is not known"),
            (b'{"type": "a", "timestamp": "yesterday"}', "timestamp"),
            (b'{"type": "a", "id": ""}', "id"),
            (b'{"type": "a", "payload": ' + b"9" * 5000 + b"}", "digits"),
            (b'{"type": "a", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
            (b'{"type": "a", "payload": "' + b"x" * 2_000_000 + b'"}', "bytes as JSON"),
            (b"\0" * 11_000_000, "larger than any event"),
        ],
        ids=lambda value: value[:20] if isinstance(value, str) else len(value),
    )
    def test_it_is_kept_aside_with_a_reason(
        self, spool: Spool, store: MemoryStore, content: bytes, reason: str
    ) -> None:
        """The reason names what was wrong; the events around it are kept."""
        drop(spool, "1", '{"type": "before"}')
        drop(spool, "2", content)
        drop(spool, "3", '{"type": "after"}')
        assert spool.collect(store) == Collected(kept=2, rejected=1, waiting=0)
        assert reason in reason_for(spool, "2")
        assert Path(spool.directory, "rejected", "2").read_bytes() == content

    def test_what_is_no_plain_file(self, spool: Spool, store: MemoryStore, tmp_path: Path) -> None:
        """Links are not followed, pipes not waited for, directories not looked into."""
        secret = tmp_path / "secret"
        secret.write_text('{"type": "secret"}')
        new = drop(spool, "0", '{"type": "event"}').parent
        (new / "directory").mkdir()
        (new / "directory" / "file").write_text("mine")
        (new / "link").symlink_to(secret)
        (new / "nowhere").symlink_to(tmp_path / "nowhere")
        os.mkfifo(new / "pipe")
        with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
            patch.chdir(new)  # the path of a socket has 108 bytes at most
            server.bind("socket")
            assert spool.collect(store) == Collected(kept=1, rejected=5, waiting=0)
        assert [event.type for event in kept(store)] == ["event"]
        assert "not a plain file" in reason_for(spool, "pipe")
        assert Path(spool.directory, "rejected", "directory", "file").read_text() == "mine"
        assert secret.exists()

    @pytest.mark.parametrize(
        "name", [b"a\nb", b"caf\xe9", b"x" * 255, "ü".encode() * 127, b"-rf", b"1.reason", b"~"]
    )
    def test_names_of_any_kind(self, spool: Spool, store: MemoryStore, name: bytes) -> None:
        """A file may have any name, as an event and as none."""
        path = os.fsdecode(name)
        drop(spool, path, '{"type": "event"}')
        assert spool.collect(store).kept == 1
        drop(spool, path, "none")
        assert spool.collect(store) == Collected(0, 1, 0)
        assert len(listed(spool, "rejected")) == 2

    def test_names_that_come_again(self, spool: Spool, store: MemoryStore) -> None:
        """A rejected file never replaces another one, nor another one's reason."""
        for name in ("note", "note.reason", "note", "note.reason", "note.2", "note"):
            drop(spool, name, f"none: {name}")
            spool.collect(store)
        rejected = Path(spool.directory, "rejected")
        files = [path.read_text() for path in rejected.iterdir()]
        assert len(files) == 12
        assert sum(text.startswith("none: ") for text in files) == 6

    @given(st.binary(max_size=200))
    def test_any_bytes(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        """Whatever a file holds: it is collected or kept aside, and nothing is raised."""
        spool = Spool(str(tmp_path_factory.mktemp("spool")))
        drop(spool, "file", content)
        collected = spool.collect(MemoryStore())
        assert collected.kept + collected.rejected == 1
        assert collected.kept or Path(spool.directory, "rejected/file").read_bytes() == content

    @given(
        st.dictionaries(
            st.sampled_from(sorted(FIELDS)),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
                ),
                max_leaves=4,
            ),
        )
    )
    def test_any_json(
        self, tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
    ) -> None:
        """Whatever the fields hold: the file is collected or kept aside, and nothing is raised."""
        spool = Spool(str(tmp_path_factory.mktemp("spool")))
        drop(spool, "file", json.dumps(data))
        collected = spool.collect(MemoryStore())
        assert collected.kept + collected.rejected == 1
