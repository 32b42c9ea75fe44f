"""The directory of a shared log: where things lie, who may use them, and how a name is claimed.

    format.json     which log this is; made once
    lease           who puts entries in order just now
    new/            entries that wait to be put in order, one file for each call of `publish`
    tmp/            files on their way into new/; nobody reads them
    rejected/       what stood in new/ and holds no entries, each beside a `.reason`
    segments/       entries in their order
    snapshots/      what a new replica starts from
    trimmed         how far the log was trimmed

A name is claimed by a hard link to a file that is whole and on the disk. That either happens or it
does not, once, for all nodes, on every file system that has links; locks do not (see
docs/explanation/shared-file-systems.md).

Everything is for those whom the top directory is for: its mode is given on to what is made in it,
whatever the umask says.
"""

from __future__ import annotations

import os
import stat
from json import loads

from tidings import settings
from tidings.durable_files import unique_name
from tidings.errors import NotAStore, StoreReadOnly, StoreTooNew, StoreUnavailable
from tidings.fields import encode_json
from tidings.store.shared.failures import no_links
from tidings.store.shared.files import VANISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidings.store.shared.files import Files

__all__ = ["Place"]

_VERSION = 1
_ROOMS = ("new", "tmp", "rejected", "segments", "snapshots")
_OURS = frozenset((*_ROOMS, "format.json", "lease", "trimmed"))
_COMPARED = 256
_CLOCK_SECONDS = 60.0


class Place:
    """One shared directory, as one process sees it.

    Args:
        directory: where it lies.
        files: how it is reached.
    """

    def __init__(self, directory: str, files: Files) -> None:
        self.directory = directory
        self.files = files
        self.file_mode = 0o600
        self._directory_mode = 0o700
        self._log: str | None = None
        self._clock: tuple[float, float] | None = None

    def path(self, *names: str) -> str:
        """Where something in it is."""
        return "/".join((self.directory, *names))

    def unique(self) -> str:
        """A name that no other process on any node ever gives; names of later files come later."""
        return unique_name().removesuffix(".json")

    @property
    def log(self) -> str:
        """The identity of the log; it is made where there is none yet."""
        if self._log is None:
            self._log = self.identity()
        return self._log

    def identity(self) -> str:
        """The identity of the log as the directory says it now; made where there is none yet.

        Raises:
            NotAStore: there is something else.
            StoreTooNew: a newer Tidings made it.
            OSError: it cannot be reached.
        """
        identity = self._kept_identity()
        if identity is None:
            identity = self._made()
        self._look_around()
        self._log = identity
        return identity

    def _kept_identity(self) -> str | None:
        path = self.path("format.json")
        try:
            with self.files.opened(path) as file:
                text = file.read()
        except OSError as error:
            if error.errno in VANISHED:
                return None
            raise
        try:
            said = loads(text)
            version, identity = int(said["format"]), str(said["log"])
        except (ValueError, TypeError, KeyError) as error:
            raise NotAStore(
                f"{path} says nothing about a shared log ({error}); restore it from a backup, or "
                f"let TIDINGS_URL name another directory"
            ) from error
        if version > _VERSION:
            raise StoreTooNew(
                f"{self.directory} was made by a newer Tidings (format {version}, this one knows "
                f"{_VERSION}); install that one here"
            )
        return identity

    def _ensure_mounted(self) -> None:
        """Make one directory, not the way to it: that may be a file system that is not mounted.

        What a node acknowledged on its own disk instead, nobody else would ever see.
        """
        parent = os.path.dirname(self.directory)
        if os.path.lexists(parent) or parent == os.path.abspath(settings.home()):
            return
        raise StoreUnavailable(
            f"{parent}, where the shared directory should lie, does not exist; mount its file "
            f"system, or make that directory"
        )

    def _made(self) -> str:
        """Make the log, unless another process is faster: then that one's identity."""
        self._ensure_mounted()
        self.files.make_all(self.directory)
        self._look_at_modes()
        strange = [name for name in self.files.names(self.directory) if name not in _OURS]
        if strange and self._kept_identity() is None:
            raise NotAStore(
                f"{self.directory} holds other things ({strange[0]}); let TIDINGS_URL name a "
                f"directory that is empty or does not exist yet"
            )
        said = encode_json({"format": _VERSION, "log": os.urandom(16).hex()}).encode()
        if self.claim(self.path("format.json"), [said, b"\n"]):
            self.files.sync(self.directory)
        self.files.refresh(self.directory)
        identity = self._kept_identity()
        if identity is None:
            raise FileNotFoundError(2, "was removed again", self.path("format.json"))
        return identity

    def _look_around(self) -> None:
        """See that the rooms are there, and who may use them."""
        self._look_at_modes()
        missing = [room for room in _ROOMS if not self.files.is_directory(self.path(room))]
        for room in missing:
            self._make_room(room)
        if missing:
            self.files.sync(self.directory)

    def _look_at_modes(self) -> None:
        mode = self.files.mode(self.directory)
        self._directory_mode = mode & ~stat.S_ISVTX
        self.file_mode = self._directory_mode & 0o666
        if mode & stat.S_ISVTX:
            raise StoreReadOnly(
                f"{self.directory} has the sticky bit, so nobody could put away what others wrote; "
                f"make a directory in it, or chmod -t it"
            )

    def _make_room(self, room: str) -> None:
        try:
            self.make(self.path(room))
        except OSError:
            if not self.files.is_directory(self.path(room)):
                raise

    def make(self, directory: str) -> None:
        """Make a directory within it."""
        self.files.make(directory, self._directory_mode)

    def claim(self, name: str, parts: Sequence[bytes]) -> bool:
        """Write a file under a name, unless there is one; whether it is ours.

        The file is whole and on the disk before the name is there. The directory is not yet. What
        is written must differ from every other file in its first bytes.

        Raises:
            StoreUnavailable: the file system knows no links.
            OSError: the name was not claimed, as far as can be told.
        """
        temporary = f"{os.path.dirname(name)}/.{self.unique()}"
        try:
            self.written(temporary, parts)
            return self._linked(temporary, name, parts)
        finally:
            self.forget(temporary)

    def _linked(self, temporary: str, name: str, parts: Sequence[bytes]) -> bool:
        try:
            self.files.link(temporary, name)
        except OSError as error:
            # NFS may have done it and lost the answer.
            if self._begins_with(name, b"".join(parts[:1])[:_COMPARED]):
                return True
            if isinstance(error, FileExistsError):
                return False
            refused = no_links(error, self.directory)
            if refused is not None:
                raise refused from error
            raise
        return True

    def _begins_with(self, name: str, data: bytes) -> bool:
        self.files.refresh(os.path.dirname(name))
        try:
            with self.files.opened(name) as file:
                return file.read(len(data)) == data
        except OSError:
            return False

    def written(self, path: str, parts: Iterable[bytes], *, settled: bool = False) -> None:
        """Write a new file onto the disk; by the way it is seen what time it is there.

        Args:
            path: where.
            parts: what.
            settled: whether it is to take a name that is on the disk already.
        """
        mode = self.file_mode & 0o444 if settled else self.file_mode
        now = self.files.write(path, parts, mode)
        self._clock = (self.files.monotonic(), now)

    def replace(self, temporary: str, name: str) -> None:
        """Let a name lead to another file from now on, in one step."""
        self.files.rename(temporary, name)
        # Between two names of one file a rename does nothing, and says it was done.
        self.forget(temporary)

    def forget(self, path: str) -> None:
        """Remove what may have been left; where that fails, it stays."""
        try:
            self.files.remove(path)
        except OSError:
            return

    def now(self) -> float:
        """The time by the file server's clock (seconds since 1970); nodes' clocks do not count."""
        if self._clock is None or self.files.monotonic() - self._clock[0] > _CLOCK_SECONDS:
            path = self.path("tmp", self.unique())
            try:
                self.written(path, [b"what time is it?\n"])
            finally:
                self.forget(path)
        assert self._clock is not None  # noqa: S101 - `written` sets it
        before, then = self._clock
        return then + self.files.monotonic() - before
