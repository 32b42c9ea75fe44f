"""Whether tracked files, or what is staged, differ from the commit.

The answer is that of `git describe --dirty`, within bounds: an index of at most 2,000 files and
8 MiB, files of at most 1 MiB where their content has to be compared. Beyond them it is unknown.
"""

from __future__ import annotations

import os
from stat import S_IFLNK, S_IFMT, S_ISREG, S_IXUSR

from tidings.git.files import in_time, read_file
from tidings.git.index import count_entries, read_entries
from tidings.git.objects import committed_tree, object_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.git.index import Entry
    from tidings.git.repository import Repository

__all__ = ["is_dirty"]

MAX_INDEX_BYTES = 8 * 1024 * 1024
MAX_CONTENT_BYTES = 1024 * 1024


def is_dirty(repository: Repository, commit: str | None, deadline: float) -> bool | None:
    """Whether tracked files, or what is staged, differ from a commit.

    Args:
        repository: where its parts lie.
        commit: what HEAD names; none before the first commit, when anything staged counts.
        deadline: see `files.in_time`.

    Returns:
        None where a file is too large to compare, or the commit is not found.

    Raises:
        one of `UNREADABLE`: something is torn, beyond its bound, or the time is up.
    """
    index, index_written = _read_index(repository)
    if commit is None:
        return index is not None and count_entries(index) > 0
    hash_bytes = len(commit) // 2
    entries = [] if index is None else list(in_time(read_entries(index, hash_bytes), deadline))
    staged = _is_staged(repository, bytes.fromhex(commit), entries, deadline)
    if staged:
        return True
    changed = _any_changed(repository, entries, index_written, deadline)
    return changed or (None if staged is None else changed)


def _read_index(repository: Repository) -> tuple[bytes | None, int]:
    """The index, none where there is none, and when it was written (nanoseconds since 1970)."""
    path = os.path.join(repository.git, b"index")
    try:
        # The time before the content: where git replaces the file in between, more is compared.
        written = os.stat(path).st_mtime_ns
        return read_file(path, MAX_INDEX_BYTES), written
    except FileNotFoundError:
        return None, 0


def _is_staged(
    repository: Repository, commit: bytes, entries: list[Entry], deadline: float
) -> bool | None:
    committed = committed_tree(os.path.join(repository.common, b"objects"), commit, deadline)
    if committed is None:
        return None
    return _tree_of(in_time(entries, deadline), len(commit)) != committed


def _any_changed(
    repository: Repository, entries: list[Entry], index_written: int, deadline: float
) -> bool | None:
    answer: bool | None = False
    for entry in in_time(entries, deadline):
        changed = not entry.unwatched and _is_changed(repository, entry, index_written)
        if changed:
            return True
        if changed is None:
            answer = None
    return answer


def _is_changed(repository: Repository, entry: Entry, index_written: int) -> bool | None:
    """Whether a file differs from its entry; none where it is too large to compare."""
    path = repository.tree + b"/" + entry.name
    try:
        now = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    if S_IFMT(now.st_mode) != S_IFMT(entry.mode):
        return True
    if S_ISREG(entry.mode) and (now.st_mode ^ entry.mode) & S_IXUSR and _modes_count(repository):
        return True
    same_size = now.st_size & 0xFFFF_FFFF == entry.size
    # A file changed at or after the index was written may show the time that the index has for it
    # ("racily clean"); git notes a size of 0 once it has seen that.
    if same_size and now.st_mtime_ns == entry.modified < index_written:
        return False
    if not same_size and entry.size:
        return True
    return None if now.st_size > MAX_CONTENT_BYTES else _content_differs(path, entry)


def _content_differs(path: bytes, entry: Entry) -> bool:
    is_link = S_IFMT(entry.mode) == S_IFLNK
    content = os.readlink(path) if is_link else read_file(path, MAX_CONTENT_BYTES)
    # With core.autocrlf the file has other line ends than the blob.
    for text in (content, content.replace(b"\r\n", b"\n")):
        if object_hash(b"blob", text, len(entry.hash)) == entry.hash:
            return False
    return True


def _modes_count(repository: Repository) -> bool:
    """Whether the executable bit means something here; where not, `git init` noted it."""
    config = read_file(os.path.join(repository.common, b"config"), MAX_CONTENT_BYTES)
    return b"filemode=false" not in config.lower().replace(b" ", b"")


def _tree_of(entries: Iterable[Entry], hash_bytes: int) -> bytes:
    """The hash of the tree that a commit of these entries would have.

    They are in the order of full paths, so a directory is complete when a name outside of it comes.
    Where a file is in conflict, or is only intended to be added, no commit has that tree.
    """
    open_trees: list[tuple[bytes, bytearray]] = [(b"", bytearray())]
    for entry in entries:
        while not entry.name.startswith(open_trees[-1][0]):
            _close_tree(open_trees, hash_bytes)
        path, rows = open_trees[-1]
        *directories, file = entry.name[len(path) :].split(b"/")
        for directory in directories:
            path, rows = path + directory + b"/", bytearray()
            open_trees.append((path, rows))
        rows += b"%o %b\0%b" % (entry.mode, file, entry.hash)
    while len(open_trees) > 1:
        _close_tree(open_trees, hash_bytes)
    return object_hash(b"tree", bytes(open_trees[0][1]), hash_bytes)


def _close_tree(open_trees: list[tuple[bytes, bytearray]], hash_bytes: int) -> None:
    path, rows = open_trees.pop()
    parent, parent_rows = open_trees[-1]
    name = path[len(parent) : -1]
    parent_rows += b"40000 %b\0%b" % (name, object_hash(b"tree", bytes(rows), hash_bytes))
