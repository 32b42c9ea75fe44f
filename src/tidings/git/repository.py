"""Where a repository's parts lie, and which commit and branch its HEAD names.

Source: gitrepository-layout(5). It reads refs kept as files and in `packed-refs`.
"""

from __future__ import annotations

import os
from collections import namedtuple
from stat import S_ISDIR

from tidings.git.files import MAX_PATH_BYTES, UNREADABLE, read_file

__all__ = ["Repository", "find_repository", "read_head"]

_MAX_PACKED_REFS_BYTES = 8 * 1024 * 1024
_MAX_SYMBOLIC_REFS = 5  # as git
_MAX_LINE_BYTES = 2 * MAX_PATH_BYTES
_HEX = frozenset("0123456789abcdef")


class Repository(namedtuple("Repository", "tree git common head")):
    """The directories of a work tree, its own `.git`, and the one it shares with its worktrees."""

    __slots__ = ()

    tree: bytes
    git: bytes
    common: bytes
    head: bytes


def find_repository(directory: bytes) -> Repository | None:
    """The repository whose work tree a directory lies in; none where there is none."""
    device = os.stat(directory).st_dev
    while True:
        repository = _repository_of(directory)
        if repository is not None:
            return repository
        parent = os.path.dirname(directory)
        if parent == directory or os.stat(parent).st_dev != device:
            return None
        directory = parent


def read_head(repository: Repository) -> tuple[str | None, str | None]:
    """The commit and the branch.

    A branch without a commit has none yet; neither means that the refs are kept as reftable.

    Raises:
        one of `UNREADABLE`: HEAD or the ref it names is torn.
    """
    if _is_hash(repository.head):
        return repository.head.strip().decode(), None
    if os.path.isdir(os.path.join(repository.common, b"reftable")):
        return None, None
    ref = _target(repository.head)
    return _resolve(repository, ref), ref.removeprefix(b"refs/heads/").decode("utf-8", "replace")


def _repository_of(tree: bytes) -> Repository | None:
    git = os.path.join(tree, b".git")
    try:
        if not S_ISDIR(os.stat(git).st_mode):
            pointer = read_file(git, _MAX_LINE_BYTES)
            if not pointer.startswith(b"gitdir: "):
                return None
            git = os.path.join(tree, pointer[8:].rstrip(b"\r\n"))
        head = read_file(os.path.join(git, b"HEAD"), _MAX_LINE_BYTES)
        if not _is_hash(head):
            _target(head)
        return Repository(tree, git, _common_directory(git), head)
    except UNREADABLE:
        return None


def _common_directory(git: bytes) -> bytes:
    try:
        path = read_file(os.path.join(git, b"commondir"), _MAX_LINE_BYTES)
    except FileNotFoundError:
        return git
    return os.path.join(git, path.rstrip(b"\r\n"))


def _resolve(repository: Repository, ref: bytes) -> str | None:
    for _ in range(_MAX_SYMBOLIC_REFS):
        content = _loose_ref(repository, ref)
        if content is None:
            return _packed_ref(repository, ref)
        if not content.startswith(b"ref:"):
            return _hash(content)
        ref = _target(content)
    raise ValueError


def _loose_ref(repository: Repository, ref: bytes) -> bytes | None:
    # A worktree's own refs (bisect, rewritten) lie in its own directory, all others are shared.
    for directory in dict.fromkeys((repository.git, repository.common)):
        try:
            return read_file(os.path.join(directory, ref), _MAX_LINE_BYTES)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
    return None


def _packed_ref(repository: Repository, ref: bytes) -> str | None:
    try:
        refs = read_file(os.path.join(repository.common, b"packed-refs"), _MAX_PACKED_REFS_BYTES)
    except FileNotFoundError:
        return None
    end = (refs + b"\n").find(b" " + ref + b"\n")
    return None if end < 0 else _hash(refs[refs.rfind(b"\n", 0, end) + 1 : end])


def _target(content: bytes) -> bytes:
    """The ref that a symbolic ref names; one that would leave `.git` is none."""
    ref = content.removeprefix(b"ref:").strip()
    stays = ref.startswith(b"refs/") and b".." not in ref and not ref.endswith(b"/")
    if not content.startswith(b"ref:") or not stays:
        raise ValueError
    return ref


def _is_hash(content: bytes) -> bool:
    digits = content.strip().decode("latin-1")
    return len(digits) in {40, 64} and _HEX.issuperset(digits)


def _hash(content: bytes) -> str:
    if not _is_hash(content):
        raise ValueError
    return content.strip().decode()
