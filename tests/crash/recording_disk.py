"""A disk whose every write is recorded, so that the power can fail at any of them afterwards.

SQLite reaches its files through a *VFS* (https://www.sqlite.org/vfs.html). `RecordingDisk`
registers one that calls the usual one and writes down what it was asked: the engine, the sqlite3
module and the store are the real ones. `lost_power.py` says what is left of the recorded writes.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Entry", "RecordingDisk"]


class Entry(NamedTuple):
    """One line of the record.

    `what` is `create`, `write`, `truncate`, `sync` or `delete` of a file, `settle` of a directory
    (its entries are synced), or `note` by the test.
    """

    what: str
    path: str
    offset: int = 0
    data: Any = b""


# The structures of sqlite3.h (https://www.sqlite.org/c3ref/vfs.html and io_methods.html); what is
# not called from here is a bare pointer.
_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)
_GetSystemCall = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_SetSystemCall = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
_OpenDirectory = CFUNCTYPE(c_int, c_char_p, POINTER(c_int))


class _Vfs(Structure):
    _fields_ = [
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _Open),
        ("delete", _Delete),
        ("others", c_void_p * 11),
        ("set_system_call", _SetSystemCall),
        ("get_system_call", _GetSystemCall),
        ("next_system_call", c_void_p),
    ]


class _Methods(Structure):
    _fields_ = [
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", _Write),
        ("truncate", _Truncate),
        ("sync", _Sync),
        ("others", c_void_p * 13),
    ]


class _File(Structure):
    _fields_ = [("methods", POINTER(_Methods))]


class RecordingDisk:
    """Records what SQLite does to the files of a directory while it is entered; for one thread.

    Args:
        directory: the directory; files elsewhere, of stores that others left open, do not count.

    Attributes:
        record: what was done, in order.
    """

    def __init__(self, directory: str) -> None:
        self.record: list[Entry] = []
        self._directory = directory
        self._sqlite = _engine()
        self._paths: dict[int, str] = {}
        self._methods: dict[int, tuple[_Methods, _Methods]] = {}
        usual = self._sqlite.sqlite3_vfs_find(None)
        self._usual = cast(usual, POINTER(_Vfs)).contents
        # Callbacks must outlive the engine's use of them, so all are kept here.
        self._vfs = _copy(self._usual)
        self._vfs.name = b"recording"
        self._vfs.open = _Open(self._open)
        self._vfs.delete = _Delete(self._delete)
        call = self._usual.get_system_call(ctypes.addressof(self._usual), b"openDirectory")
        self._usual_open_directory = _OpenDirectory(call)
        self._recorded_open_directory = _OpenDirectory(self._open_directory)

    def note(self, data: Any) -> None:
        """Write down what the test has to say at this moment."""
        self.record.append(Entry("note", "", 0, data))

    def __enter__(self) -> Self:
        self._set_open_directory(cast(self._recorded_open_directory, c_void_p))
        assert self._sqlite.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) == 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._sqlite.sqlite3_vfs_unregister(ctypes.byref(self._vfs)) == 0
        assert self._sqlite.sqlite3_vfs_register(ctypes.byref(self._usual), 1) == 0
        self._set_open_directory(None)

    def _set_open_directory(self, call: Any) -> None:
        usual = ctypes.addressof(self._usual)
        assert self._usual.set_system_call(usual, b"openDirectory", call) == 0

    # What SQLite calls ----------------------------------------------------------------------------

    def _open(self, _: Any, name: int | None, file: int, flags: int, out: Any) -> int:
        # The name stays a pointer: the usual VFS keeps it and looks at it again.
        path = "" if name is None else os.fsdecode(ctypes.string_at(name))
        is_new = not os.path.exists(path)
        result: int = self._usual.open(ctypes.addressof(self._usual), name, file, flags, out)
        opened = cast(file, POINTER(_File)).contents
        if result == 0 and os.path.dirname(path) == self._directory:
            self._paths[file] = path
            opened.methods = ctypes.pointer(self._recorded(opened.methods))
            if is_new:
                self.record.append(Entry("create", path))
        return result

    def _delete(self, _: Any, name: bytes, sync_directory: int) -> int:
        path = os.fsdecode(name)
        if os.path.dirname(path) == self._directory:
            self.record.append(Entry("delete", path))
        usual = ctypes.addressof(self._usual)
        return int(self._usual.delete(usual, name, sync_directory))

    def _open_directory(self, name: bytes, out: Any) -> int:
        self.record.append(Entry("settle", os.path.dirname(os.fsdecode(name))))
        return int(self._usual_open_directory(name, out))

    def _recorded(self, usual: Any) -> _Methods:
        """The methods that record and call the usual ones; the same for files of the same kind."""
        address = ctypes.addressof(usual.contents)
        if address not in self._methods:
            methods = usual.contents
            recorded = _copy(methods)
            recorded.write = _Write(self._writer(methods))
            recorded.truncate = _Truncate(self._truncater(methods))
            recorded.sync = _Sync(self._syncer(methods))
            self._methods[address] = (recorded, methods)
        return self._methods[address][0]

    def _writer(self, usual: _Methods) -> Any:
        def write(file: int, data: int, size: int, offset: int) -> int:
            written = ctypes.string_at(data, size)
            self.record.append(Entry("write", self._paths[file], offset, written))
            return int(usual.write(file, data, size, offset))

        return write

    def _truncater(self, usual: _Methods) -> Any:
        def truncate(file: int, size: int) -> int:
            self.record.append(Entry("truncate", self._paths[file], size))
            return int(usual.truncate(file, size))

        return truncate

    def _syncer(self, usual: _Methods) -> Any:
        def sync(file: int, flags: int) -> int:
            result = int(usual.sync(file, flags))
            self.record.append(Entry("sync", self._paths[file]))
            return result

        return sync


def _engine() -> ctypes.CDLL:
    """The SQLite library that the sqlite3 module uses, be it linked or built in."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        library.sqlite3_vfs_find.restype = c_void_p
    except AttributeError:
        raise RuntimeError(
            "this Python hides the functions of its SQLite; run the tests with one that is linked "
            "to a library, such as pyenv's or the distribution's"
        ) from None
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
    library.sqlite3_vfs_unregister.argtypes = [c_void_p]
    return library


def _copy(structure: Any) -> Any:
    return type(structure).from_buffer_copy(structure)
