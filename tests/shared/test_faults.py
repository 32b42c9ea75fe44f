"""A shared log where things go wrong: strange files, full disks, rights, lost answers."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from tests.replicated.log_elsewhere import publish_all, read_until
from tidings.errors import (
    InvalidSetting,
    NotAStore,
    StoreDamaged,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
    StoreUnavailable,
)
from tidings.event import Event
from tidings.store.shared import SharedLog, open_shared
from tidings.store.shared.files import Files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO


class Failing(Files):
    """The file system, of which one call fails, before or after it was done."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.failing = ""
        self.code = 0
        self.done_first = False
        self.closed = ""

    def _fail(self, name: str, path: str) -> None:
        if self.failing == name:
            self.failing = ""
            raise OSError(self.code, os.strerror(self.code), path)

    def write(self, path: str, parts: Iterable[bytes], mode: int) -> float:
        """As `Files.write`."""
        self._fail("write", path)
        return super().write(path, parts, mode)

    def opened(self, path: str) -> BinaryIO:
        """As `Files.opened`."""
        if self.closed and path.endswith(self.closed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return super().opened(path)

    def link(self, path: str, name: str) -> None:
        """As `Files.link`."""
        if self.done_first and self.failing == "link":
            super().link(path, name)
        self._fail("link", name)
        super().link(path, name)

    def rename(self, path: str, name: str) -> None:
        """As `Files.rename`."""
        if self.done_first and self.failing == "rename":
            super().rename(path, name)
        self._fail("rename", name)
        super().rename(path, name)

    def symlink(self, target: str, name: str) -> None:
        """As `Files.symlink`."""
        self._fail("symlink", name)
        super().symlink(target, name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the log lies."""
    return tmp_path / "shared"


@pytest.fixture
def files(directory: Path) -> Failing:
    """What the log reaches it through."""
    return Failing(str(directory))


@pytest.fixture
def log(directory: Path, files: Failing) -> Iterator[SharedLog]:
    """A log with one entry in it."""
    log = SharedLog(str(directory), str(directory), files)
    publish_all(log, b"first")
    read_until(log, b"first")
    yield log
    log.close()


def data_of(log: SharedLog, last: bytes) -> list[bytes]:
    """All entries up to one."""
    return [entry.data for entry in read_until(log, last)]


SAID = [b"{", b"[]", b'{"log": "another"}', b"\xff"]
"""Headers that are whole, and no headers."""

# What stands there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"hello\n", b"tidings entries 001 0000000010 00000000\n{", b"\0" * 100),
        *(b"tidings entries 001 %010d %08x\n%b" % (len(said), crc32(said), said) for said in SAID),
    ],
)
def test_strange_files_are_put_aside(log: SharedLog, directory: Path, content: bytes) -> None:
    """A file that holds no entries goes to rejected/ with a reason, and hinders nobody."""
    (directory / "new" / "0-strange").write_bytes(content)
    publish_all(log, b"second")
    assert data_of(log, b"second") == [b"first", b"second"]
    kept = sorted((directory / "rejected").iterdir())
    assert [path.read_bytes() for path in kept if path.suffix != ".reason"] == [content]
    assert any("no entries of this log" in problem for problem in log.check())


def test_what_is_no_file_is_put_aside(log: SharedLog, directory: Path) -> None:
    """A directory, a pipe or a link in new/ hinders nobody either."""
    (directory / "new" / "0-directory").mkdir()
    os.mkfifo(directory / "new" / "0-pipe")
    (directory / "new" / "0-link").symlink_to("/etc/passwd")
    publish_all(log, b"second")
    assert data_of(log, b"second") == [b"first", b"second"]
    assert not list((directory / "new").iterdir())


def test_entries_of_another_log_are_put_aside(log: SharedLog, directory: Path) -> None:
    """A file of another log is not taken for one of this."""
    other = SharedLog(f"{directory}-other", "")
    publish_all(other, b"strange")
    (path,) = Path(f"{directory}-other", "new").iterdir()
    path.rename(directory / "new" / path.name)
    publish_all(log, b"second")
    assert data_of(log, b"second") == [b"first", b"second"]
    other.close()


def test_what_a_newer_tidings_wrote_waits(log: SharedLog, directory: Path) -> None:
    """A file in a format that is not known yet is left for those who know it."""
    newer = directory / "new" / "0-newer"
    newer.write_bytes(b"tidings entries 002 0000000002 00000000\n{}")
    publish_all(log, b"second")
    assert data_of(log, b"second") == [b"first", b"second"]
    assert newer.exists()
    (told,) = log.check()
    assert "1 files" in told
    assert "newer Tidings" in told


def test_a_damaged_segment_is_found(log: SharedLog, directory: Path) -> None:
    """A flipped byte is told by reading and by check, with the file's name."""
    (segment,) = (directory / "segments" / "0000000").iterdir()
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(content)
    with pytest.raises(StoreDamaged, match="segment 0 is damaged"):
        log.read(0)
    assert [str(segment) in problem for problem in log.check()] == [True]


def test_what_waits_and_cannot_be_read_is_told(
    log: SharedLog, directory: Path, files: Failing
) -> None:
    """A file in new/ that this user may not read hinders nobody, and check tells of it."""
    (directory / "new" / "0-secret").write_bytes(b"")
    files.closed = "0-secret"
    publish_all(log, b"second")
    assert data_of(log, b"second") == [b"first", b"second"]
    (told,) = log.check()
    assert "1 files" in told
    assert "cannot be read here" in told


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"tidings segment 002 0000000002 00000000\n{}", StoreTooNew),
        (b"tidings segment 001 0000000002 00000000\n{}", StoreDamaged),
        (b"", StoreDamaged),
    ],
    ids=["newer", "damaged", "empty"],
)
@pytest.mark.usefixtures("log")
def test_a_segment_that_cannot_be_read_is_told_to_all(
    directory: Path, line: bytes, error: type[Exception]
) -> None:
    """Who reads, asks for the head or checks is told which; mended, all goes on."""
    (segment,) = (directory / "segments" / "0000000").iterdir()
    whole = segment.read_bytes()
    segment.chmod(0o600)
    segment.write_bytes(line)
    other = SharedLog(str(directory), "")
    publish_all(other, b"second")
    for ask in (lambda: other.read(0), lambda: other.read(1 << 20), lambda: other.head(1.0)):
        with pytest.raises(error, match=segment.name):
            ask()
    assert [str(segment) in problem for problem in other.check()] == [True]
    segment.write_bytes(whole)
    assert data_of(other, b"second") == [b"first", b"second"]
    other.close()


def test_a_directory_with_other_things(tmp_path: Path) -> None:
    """A directory that holds something else is refused, and left as it is."""
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(NotAStore, match=r"holds other things \(thesis.tex\)"):
        SharedLog(str(tmp_path), "").identity()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("text", "error"),
    [("{}", NotAStore), ("hello", NotAStore), ('{"format": 2, "log": "x"}', StoreTooNew)],
)
def test_a_format_that_is_not_known(
    log: SharedLog, directory: Path, text: str, error: type[Exception]
) -> None:
    """A directory of another or a newer kind is refused."""
    (directory / "format.json").write_text(text)
    with pytest.raises(error):
        log.identity()


# What the file system says ------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(log: SharedLog, files: Failing, code: int) -> None:
    """Where no file can be written, nothing was added, and reading goes on."""
    files.failing, files.code = "write", code
    with pytest.raises(StoreFull, match="free space"):
        publish_all(log, b"second")
    publish_all(log, b"third")
    assert data_of(log, b"third") == [b"first", b"third"]


def test_a_disk_that_is_full_for_the_segment(log: SharedLog, files: Failing) -> None:
    """What waits is kept, and is put in order once there is space again."""
    publish_all(log, b"second")
    files.failing, files.code = "write", errno.ENOSPC
    after = 1 << 20
    with pytest.raises(StoreFull):
        log.read(after)
    assert data_of(log, b"second") == [b"first", b"second"]


@pytest.mark.parametrize("call", ["link", "rename"])
@pytest.mark.parametrize("code", [errno.EEXIST, errno.ENOENT, errno.EIO])
def test_an_answer_that_is_lost(log: SharedLog, files: Failing, call: str, code: int) -> None:
    """A link or a rename that was done, though the answer says otherwise, counts as done."""
    files.failing, files.code, files.done_first = call, code, True
    publish_all(log, b"second")
    assert data_of(log, b"second") == [b"first", b"second"]
    assert not files.failing


@pytest.mark.parametrize(("call", "code"), [("link", errno.EPERM), ("symlink", errno.ENOTSUP)])
def test_a_file_system_without_links(directory: Path, files: Failing, call: str, code: int) -> None:
    """Where links are refused, the error says so and what to do."""
    log = SharedLog(str(directory), "", files)
    files.failing, files.code = call, code
    with pytest.raises(StoreUnavailable, match="needs hard and symbolic links"):
        _use(log)
    log.close()


def _use(log: SharedLog) -> None:
    publish_all(log, b"first")
    log.read(0)


def test_a_sticky_directory(directory: Path) -> None:
    """Where nobody may put away what others wrote, the log is refused before it grows for ever."""
    directory.mkdir()
    directory.chmod(0o1777)
    with pytest.raises(StoreReadOnly, match="sticky bit"):
        SharedLog(str(directory), "").identity()


def test_files_are_for_those_whom_the_directory_is_for(tmp_path: Path) -> None:
    """A team's directory gives its mode on, whatever the umask says; a new one is its owner's."""
    for name, mode in (("team", 0o770), ("own", None)):
        directory = tmp_path / name
        if mode is not None:
            directory.mkdir()
            directory.chmod(mode)
        log = SharedLog(str(directory), "")
        publish_all(log, b"first")
        group = 0o070 if mode else 0
        for parent, folders, names in os.walk(directory):
            for each in folders:
                assert os.stat(f"{parent}/{each}").st_mode & 0o077 == group
            for each in names:
                assert os.stat(f"{parent}/{each}").st_mode & 0o077 == group & 0o066
        log.close()


# What a URL says ----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["shared:", "shared:///", "shared://host/dir", "shared:///x?y=1"])
def test_a_url_that_names_no_directory(url: str) -> None:
    """A URL without a directory, or with an option that is not known, is refused."""
    with pytest.raises(InvalidSetting):
        open_shared(url)


def test_the_directory_is_made_when_it_is_needed(tmp_path: Path) -> None:
    """To open a store makes nothing yet in the shared directory's place."""
    store = open_shared(f"shared:///{tmp_path}/b?replica={tmp_path}/replica")
    assert not (tmp_path / "b").exists()
    store.put("key", 1)
    assert store.get("key") is not None
    assert (tmp_path / "b" / "format.json").exists()
    store.close()


def test_a_file_system_that_is_not_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory is made, the way to it is not; but for the home, which is ours to make."""
    url = f"shared:///{tmp_path}/lab/events?replica={tmp_path}/r"
    with open_shared(url, deadline=0.1) as store:
        with pytest.raises(StoreUnavailable, match="does not exist; mount its file system"):
            store.append([Event("x")])
        assert not (tmp_path / "lab").exists()
    monkeypatch.setenv("TIDINGS_HOME", f"{tmp_path}/lab/home")
    with open_shared(f"shared:///{tmp_path}/lab/home/shared?replica={tmp_path}/r") as store:
        assert store.append([Event("x")])[0].position == 1
