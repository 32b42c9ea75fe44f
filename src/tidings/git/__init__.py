"""The commit a directory is checked out at, and whether files differ from it, without running git.

Keeps promise 4 (a job is never hurt): nothing is executed or written, what cannot be read within
bounds of size and time is unknown, and nothing is raised. It does not look at untracked files,
inside submodules, at `GIT_DIR` and its kin, or at refs kept as reftable.

`repository` finds `.git` and the commit, `index` and `objects` read what git wrote, `changes`
compares, `files` holds the bounds.
"""

from __future__ import annotations

import os
from collections import namedtuple
from time import monotonic

from tidings.git.files import UNREADABLE
from tidings.git.repository import find_repository, read_head

__all__ = ["Checkout", "read_checkout"]

SECONDS = 0.02
"""How long to look for changes. On a network file system a single file may take a millisecond."""


class Checkout(namedtuple("Checkout", "commit branch dirty")):
    """What a directory is checked out at; none where that is not known.

    `commit` is 40 (SHA-1) or 64 (SHA-256) hexadecimal digits, none before the first commit;
    `branch` is none where HEAD is detached; `dirty` says whether tracked files, or what is staged,
    differ from the commit.
    """

    __slots__ = ()

    commit: str | None
    branch: str | None
    dirty: bool | None


def read_checkout(directory: str, seconds: float = SECONDS) -> Checkout | None:
    """What a directory is checked out at.

    A file counts as changed where its type, executable bit or size differ from what git noted;
    where only its time differs, its content is compared. One under a clean filter (Git LFS,
    `ident`) whose time changed but not its size is taken for changed.

    Args:
        directory: any directory of a work tree. As in git, the search for `.git` goes upwards and
            does not leave the file system, so that no parent is mounted because of it.
        seconds: how long to look for changes.

    Returns:
        None where the directory is in no work tree, or its `.git` cannot be read.

    >>> read_checkout("/") is None
    True
    """
    deadline = monotonic() + seconds
    try:
        repository = find_repository(os.path.abspath(os.fsencode(directory)))
        if repository is None:
            return None
        commit, branch = read_head(repository)
    except UNREADABLE:
        return None
    if commit is None and branch is None:
        return Checkout(None, None, None)
    from tidings.git.changes import is_dirty  # most shell emits are made outside of any work tree

    try:
        dirty = is_dirty(repository, commit, deadline)
    except UNREADABLE:
        dirty = None
    return Checkout(commit, branch, dirty)
