"""A file server and its forgetful clients, in memory, on a clock that is turned by hand.

What NFS allows, happens here: a client goes on for a minute with a listing, with a name that was
missing, with where a name led; a call is done and its answer lost; a file that is open elsewhere is
gone. What NFS promises, holds: a name is linked once, a rename is one step, to open a file asks the
server, and a client sees its own changes.

Clients take turns, one call at a time, in an order that comes from a seed alone.
"""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING, Any, BinaryIO

from tests.shared.turns import Killed
from tidings.store.shared.files import Files

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from threading import Event, Thread

    from tests.shared.turns import Turns

__all__ = ["MINUTE", "Client", "Server"]

MINUTE = 60.0
_RTT = 0.0005


class Plain:
    """A file."""

    def __init__(self, data: bytes, changed: float, mode: int) -> None:
        self.data, self.changed, self.mode = data, changed, mode


class Folder:
    """A directory."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.gone = False


class Server:
    """What is on the server's disk, and its clock."""

    def __init__(self) -> None:
        self.root = Folder()
        self.time = 1_000_000.0
        self.inodes = 0


class Client(Files):
    """One machine's view of the server.

    Args:
        server: whose.
        turns: who else is there.
        chance: where its luck comes from.
        faults: how often a call goes wrong, 0 to 1.
        coherent: whether opening a directory makes it forget what it remembers of it.
        skew: what its own clock is ahead; counts where the server takes times from clients.
    """

    def __init__(
        self,
        server: Server,
        turns: Turns,
        chance: random.Random,
        *,
        faults: float = 0.0,
        coherent: bool = True,
        skew: float | None = None,
    ) -> None:
        super().__init__("/")
        self.server, self.turns, self.chance = server, turns, chance
        self.faults, self.coherent, self.skew = faults, coherent, skew
        self.dead = False
        self.kill_after: int | None = None
        self.freeze_after: int | None = None
        self.frozen_for = 0.0
        self.calls = 0
        self.thread: Thread | None = None
        self._missing: dict[str, float] = {}
        self._there: dict[str, float] = {}
        self._listings: dict[str, tuple[float, list[str]]] = {}
        self._folders: dict[str, tuple[float, Folder]] = {}

    # What each call goes through ------------------------------------------------------------------

    def _call(self) -> None:
        """Take one's turn; perhaps die or freeze there."""
        self.calls += 1
        if self.dead or (self.kill_after is not None and self.calls > self.kill_after):
            self.dead = True
            raise Killed
        seconds = _RTT
        if self.freeze_after is not None and self.calls > self.freeze_after:
            self.freeze_after, seconds = None, self.frozen_for
        assert self.thread is not None
        self.turns.sleep(self.thread, seconds)

    def _unlucky(self) -> bool:
        return self.chance.random() < self.faults

    def _lasting(self) -> float:
        """Until when it goes on with what it has just learned."""
        return self.server.time + self.chance.choice([0.0, 1.0, 30.0, MINUTE])

    def _fails(self, code: int, path: str) -> OSError:
        return OSError(code, os.strerror(code), path)

    def _folder(self, path: str) -> Folder:
        """The directory at a path, perhaps where the path led a minute ago."""
        until, folder = self._folders.get(path, (0.0, None))
        if folder is None or until < self.server.time or folder.gone:
            folder = self._walk(path)
            self._folders[path] = (self._lasting(), folder)
        return folder

    def _walk(self, path: str) -> Folder:
        folder = self.server.root
        for name in filter(None, path.split("/")):
            found = folder.names.get(name)
            if isinstance(found, str):
                found = self._walk(f"{path.partition(name)[0]}{found}")
            if found is None:
                raise self._fails(errno.ENOENT, path)
            if not isinstance(found, Folder):
                raise self._fails(errno.ENOTDIR, path)
            folder = found
        return folder

    def _at(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        return self._folder(parent), name

    def _now(self) -> float:
        return self.server.time + (self.skew or 0.0)

    def _changed_here(self, path: str, *, there: bool) -> None:
        """A client knows what it has done itself."""
        self._missing.pop(path, None)
        self._there.pop(path, None)
        if not there:
            self._there.pop(path, None)
        self._listings.pop(path.rpartition("/")[0], None)

    # The calls ------------------------------------------------------------------------------------

    def write(self, path: str, parts: Iterable[bytes], mode: int) -> float:
        """As `Files.write`."""
        data = b"".join(parts)
        self.create(path, b"", mode)
        self._call()  # It is there, and empty.
        if self._unlucky():
            raise self._fails(self.chance.choice([errno.EIO, errno.ENOSPC]), path)
        folder, name = self._at(path)
        file = folder.names.get(name)
        if not isinstance(file, Plain):
            raise self._fails(errno.ESTALE, path)
        file.data, file.changed = data, self._now()
        self._call()
        return file.changed

    def create(self, path: str, data: bytes, mode: int) -> None:
        """As `Files.create`."""
        self._call()
        folder, name = self._at(path)
        if name in folder.names:
            raise self._fails(errno.EEXIST, path)
        if folder.gone:
            raise self._fails(errno.ESTALE, path)
        folder.names[name] = Plain(data, self._now(), mode)
        self._changed_here(path, there=True)

    def opened(self, path: str) -> BinaryIO:
        """As `Files.opened`."""
        self._call()
        if self._missing.get(path, 0.0) > self.server.time:
            raise self._fails(errno.ENOENT, path)
        if self._unlucky():
            raise self._fails(errno.ESTALE, path)
        folder, name = self._at(path)
        file = folder.names.get(name)
        if not isinstance(file, Plain):
            self._missing[path] = self._lasting()
            raise self._fails(errno.ENOENT, path)
        return _Opened(file)

    def changed(self, file: BinaryIO) -> float:
        """As `Files.changed`."""
        assert isinstance(file, _Opened)
        return file.when

    def is_settled(self, file: BinaryIO) -> bool:
        """As `Files.is_settled`."""
        assert isinstance(file, _Opened)
        return file.settled

    def settle(self, path: str) -> None:
        """As `Files.settle`."""
        self._call()
        folder, name = self._at(path)
        folder.names[name].mode &= 0o444

    def exists(self, path: str) -> bool:
        """As `Files.exists`."""
        self._call()
        if self._missing.get(path, 0.0) > self.server.time:
            return False
        if self._there.get(path, 0.0) > self.server.time:
            return True
        try:
            folder, name = self._at(path)
        except OSError as error:
            return error.errno == errno.ENOTDIR
        there = name in folder.names
        (self._there if there else self._missing)[path] = self._lasting()
        return there

    def may_write(self, directory: str) -> bool:
        """As `Files.may_write`."""
        return bool(directory)

    def is_directory(self, path: str) -> bool:
        """As `Files.is_directory`."""
        self._call()
        try:
            self._walk(path)
        except OSError:
            return False
        return True

    def link(self, path: str, name: str) -> None:
        """As `Files.link`: done twice where the answer to the first was lost."""
        self._call()
        lost = self._unlucky()
        source, old = self._at(path)
        target, new = self._at(name)
        if old not in source.names:
            raise self._fails(errno.ENOENT, path)
        if new in target.names:
            raise self._fails(errno.EEXIST, name)
        if target.gone:
            raise self._fails(errno.ESTALE, name)
        target.names[new] = source.names[old]
        self._changed_here(name, there=True)
        self._call()
        if lost:
            raise self._fails(self.chance.choice([errno.EEXIST, errno.EIO]), name)

    def rename(self, path: str, name: str) -> None:
        """As `Files.rename`."""
        self._call()
        lost = self._unlucky()
        source, old = self._at(path)
        target, new = self._at(name)
        if old not in source.names:
            raise self._fails(errno.ENOENT, path)
        if target.names.get(new) is not source.names[old]:
            target.names[new] = source.names.pop(old)
        self._changed_here(path, there=False)
        self._changed_here(name, there=True)
        self._call()
        if lost:
            raise self._fails(self.chance.choice([errno.ENOENT, errno.EIO]), name)

    def remove(self, path: str) -> bool:
        """As `Files.remove`."""
        self._call()
        lost = self._unlucky()
        folder, name = self._at(path)
        was = folder.names.pop(name, None)
        self._changed_here(path, there=False)
        return was is not None and not lost

    def touch(self, path: str) -> None:
        """As `Files.touch`."""
        self._call()
        folder, name = self._at(path)
        if name not in folder.names:
            raise self._fails(errno.ENOENT, path)
        folder.names[name].changed = self._now()

    def names(self, directory: str) -> list[str]:
        """As `Files.names`."""
        return [name for name in self._listed(directory) if name[0] != "."]

    def hidden(self, directory: str) -> list[str]:
        """As `Files.hidden`."""
        return [name for name in self._listed(directory) if name[0] == "."]

    def _listed(self, directory: str) -> list[str]:
        self._call()
        until, names = self._listings.get(directory, (0.0, []))
        if until <= self.server.time:
            try:
                names = sorted(self._folder(directory).names)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return []
                raise
            self._listings[directory] = (self._lasting(), names)
        return names

    def make_all(self, directory: str) -> None:
        """As `Files.make_all`."""
        self._call()
        folder = self.server.root
        for name in filter(None, directory.split("/")):
            folder = folder.names.setdefault(name, Folder())

    def mode(self, directory: str) -> int:
        """As `Files.mode`."""
        self._folder(directory)
        return 0o700

    def make(self, directory: str, mode: int) -> None:
        """As `Files.make`."""
        self._call()
        folder, name = self._at(directory)
        if name in folder.names:
            raise self._fails(errno.EEXIST, directory)
        folder.names[name] = Folder()
        self._changed_here(directory, there=bool(mode))

    def drop(self, directory: str) -> None:
        """As `Files.drop`."""
        self._call()
        folder, name = self._at(directory)
        if folder.names[name].names:
            raise self._fails(errno.ENOTEMPTY, directory)
        folder.names.pop(name).gone = True
        self._changed_here(directory, there=False)

    def symlink(self, target: str, name: str) -> None:
        """As `Files.symlink`."""
        self._call()
        folder, new = self._at(name)
        if new in folder.names:
            raise self._fails(errno.EEXIST, name)
        folder.names[new] = target
        self._changed_here(name, there=True)

    def sync(self, directory: str) -> None:
        """As `Files.sync`."""
        self._call()
        self._folder(directory)

    def refresh(self, directory: str) -> bool:
        """As `Files.refresh`, where the mount allows it."""
        self._call()
        if not self.coherent:
            return False
        self._listings.pop(directory, None)
        self._folders.pop(directory, None)
        for remembered in (self._missing, self._there):
            for path in [path for path in remembered if path.rpartition("/")[0] == directory]:
                del remembered[path]
        return True

    def monotonic(self) -> float:
        """As `Files.monotonic`; every machine counts from its own start."""
        return self.server.time - 900_000.0

    def pause(self, flag: Event, seconds: float) -> None:
        """As `Files.pause`, but longer: on a clock that is turned by hand, time costs nothing."""
        if self.dead:
            raise Killed
        if not flag.is_set():
            assert self.thread is not None
            self.turns.sleep(self.thread, max(seconds, self.chance.uniform(0.1, 2.0)))


class _Opened(io.BytesIO):
    """A file as it was when it was opened; segments never change, so nothing is lost by it."""

    def __init__(self, file: Plain) -> None:
        super().__init__(file.data)
        self.when, self.settled = file.changed, not file.mode & 0o222
