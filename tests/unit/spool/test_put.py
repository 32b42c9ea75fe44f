"""An event that was put is on the disk, or the caller is told."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.spool.files import kept, listed, python
from tidings.errors import NotKept
from tidings.event import Event
from tidings.spool import Collected, Spool
from tidings.store.memory import MemoryStore


class TestPut:
    """An event that was put is on the disk, whole."""

    def test_a_file_holds_one_line_of_json(self, spool: Spool) -> None:
        """The file is what `to_dict` says, as one line."""
        event = Event("job_done", "figrecipe", payload={"text": "a\nb"})
        text = Path(spool.put(event)).read_text()
        assert text.count("\n") == 1
        assert Event.from_dict(json.loads(text)) == event

    def test_events_come_back_equal_and_in_order(self, spool: Spool, store: MemoryStore) -> None:
        """What is collected is what was put, in the order it was put."""
        events = [Event(f"job.{number}", payload={"n": number}) for number in range(20)]
        for event in events:
            spool.put(event)
        assert spool.waiting() == 20
        assert spool.collect(store) == Collected(kept=20, rejected=0, waiting=0)
        assert kept(store) == events

    def test_only_its_owner_can_look_in(self, spool: Spool) -> None:
        """Payloads may be confidential: directories are 0700, files 0600."""
        path = Path(spool.put(Event("job_done")))
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert Path(spool.directory).stat().st_mode & 0o777 == 0o700

    def test_file_and_directories_are_synced(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """File, its directory and every directory made on the way are put on the disk."""
        synced, fsync = set[int](), os.fsync

        def noted(fd: int) -> None:
            synced.add(os.fstat(fd).st_ino)
            fsync(fd)

        monkeypatch.setattr(os, "fsync", noted)
        path = Path(spool.put(Event("job_done")))
        assert {place.stat().st_ino for place in (path, *list(path.parents)[:4])} <= synced

    def test_a_host_name_cannot_lead_elsewhere(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A host may call itself anything; its files stay in the spool."""
        hostile = os.uname_result(("Linux", "../../é\n\0" + "x" * 300, "", "", ""))
        monkeypatch.setattr(os, "uname", lambda: hostile)
        path = Path(spool.put(Event("job_done")))
        assert path.parent == Path(spool.directory, "new")
        assert len(path.name) < 200
        assert path.name.isascii()

    def test_many_processes_put_at_once(self, spool: Spool, store: MemoryStore) -> None:
        """Eight processes that start in an empty place lose and overwrite nothing."""
        code = (
            "import sys; from tidings.event import Event; from tidings.spool import Spool\n"
            "for n in range(25): Spool(sys.argv[1]).put(Event('job', payload={'n': n}))"
        )
        command = [sys.executable, "-c", code, spool.directory]
        writers = [subprocess.Popen(command) for _ in range(8)]
        assert [writer.wait(60) for writer in writers] == [0] * 8
        assert spool.collect(store) == Collected(200, 0, 0)
        assert len({event.id for event in kept(store)}) == 200


class TestNotKept:
    """What cannot be kept is said, with path and remedy, and nothing is left of it."""

    def refused(self, spool: Spool) -> str:
        """What the spool says when it cannot take an event."""
        with pytest.raises(NotKept) as raised:
            spool.put(Event("job_done"))
        assert spool.directory in str(raised.value)
        assert "TIDINGS_SPOOL" in str(raised.value)
        return str(raised.value)

    @pytest.mark.parametrize("place", ["", "/spool", "/deep/spool"])
    def test_a_file_where_a_directory_should_be(self, tmp_path: Path, place: str) -> None:
        """The error names what stands in the way."""
        (tmp_path / "file").write_text("mine")
        assert "move it away" in self.refused(Spool(f"{tmp_path}/file{place}"))
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_link_that_leads_nowhere(self, tmp_path: Path) -> None:
        """A dangling link is an error like any other."""
        (tmp_path / "link").symlink_to(tmp_path / "gone")
        self.refused(Spool(f"{tmp_path}/link"))

    def test_a_disk_that_takes_no_more(self, tmp_path: Path) -> None:
        """A write that ends halfway leaves nothing, and the error says how to go on."""
        code = (
            "import resource, sys; from tidings.event import Event; from tidings.errors import *\n"
            "from tidings.spool import Spool\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "try: Spool(sys.argv[1]).put(Event('job', payload={'text': 'x' * 9000}))\n"
            "except NotKept as error: print(error)"
        )
        spool = Spool(str(tmp_path / "spool"))
        said = python(code, spool.directory).stdout
        assert spool.directory in said
        assert "ulimit -f" in said
        assert listed(spool, "tmp") == listed(spool, "new") == []

    @pytest.mark.parametrize("call", [1, 2])
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
    def test_a_disk_that_cannot_sync(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch, call: int, code: int
    ) -> None:
        """Whether the file or its directory cannot be synced: it is not kept, and not left."""
        spool.put(Event("job_done"))
        calls, fsync = iter(range(1, 10)), os.fsync

        def failing(fd: int) -> None:
            if next(calls) == call:
                raise OSError(code, os.strerror(code))
            fsync(fd)

        monkeypatch.setattr(os, "fsync", failing)
        assert os.strerror(code) in self.refused(spool)
        assert listed(spool, "tmp") == []
        assert spool.waiting() == 1

    def test_a_file_system_that_knows_no_sync_of_directories(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CIFS and FUSE refuse it with EINVAL; the event is as durable there as it gets."""
        spool.put(Event("job_done"))
        calls, fsync = iter(range(1, 10)), os.fsync

        def failing(fd: int) -> None:
            if next(calls) == 2:
                raise OSError(errno.EINVAL, "cannot sync a directory")
            fsync(fd)

        monkeypatch.setattr(os, "fsync", failing)
        spool.put(Event("job_done"))
        assert spool.waiting() == 2

    def test_a_rename_whose_answer_was_lost(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """NFS may rename and then report an error: the event is kept, and that is what counts."""
        rename = os.rename

        def lost(source: str, target: str) -> None:
            rename(source, target)
            raise FileNotFoundError(errno.ENOENT, "retransmitted", source)

        monkeypatch.setattr(os, "rename", lost)
        spool.put(Event("job_done"))
        assert spool.waiting() == 1

    def test_an_interrupt_leaves_no_file(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C within a write ends it, and what was begun is removed."""

        def interrupted(_: int) -> None:
            raise KeyboardInterrupt

        spool.put(Event("job_done"))
        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spool.put(Event("job_done"))
        assert listed(spool, "tmp") == []
        assert spool.waiting() == 1


def test_putting_needs_few_modules() -> None:
    """A shell emit falls back to the spool, so that loads no heavy module."""
    code = (
        "import sys; from tidings.event import Event; from tidings.spool import Spool\n"
        "print(*sys.modules)"
    )
    heavy = {"argparse", "asyncio", "dataclasses", "inspect", "logging", "pathlib", "shutil"}
    heavy |= {"socket", "subprocess", "tempfile", "urllib", "uuid", "sqlite3"}
    assert not heavy & set(python(code).stdout.split())
