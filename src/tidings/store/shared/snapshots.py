"""Snapshots: what a new replica starts from, each one file that says in its name what it holds.

snapshots/<sequence>-<first digits of its SHA-256>
"""

from __future__ import annotations

import os
import re
from hashlib import sha256

from tidings.errors import StoreDamaged, StoreUnavailable
from tidings.store.shared.files import VANISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from tidings.store.shared.place import Place

__all__ = ["Snapshots"]

_NAME = re.compile(r"([0-9]{20})-([0-9a-f]{32})")
_PIECE = 1 << 20
_TRIES = 10


class Snapshots:
    """The snapshots of one log.

    Args:
        place: the log's directory.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._files = place.files

    def put(self, sequence: int, path: str) -> None:
        """Keep a copy of a file; older ones go once it is whole and on the disk."""
        room = self._place.path("snapshots")
        temporary = f"{room}/.{self._place.unique()}"
        digest = sha256()
        try:
            with open(path, "rb") as source:
                self._place.written(temporary, _hashed(source, digest.update))
            name = f"{sequence:020d}-{digest.hexdigest()[:32]}"
            self._files.rename(temporary, f"{room}/{name}")
        finally:
            self._place.forget(temporary)
        self._files.sync(room)
        *older, _ = self._kept()
        for old in older:
            self._place.forget(f"{room}/{old}")

    def fetch(self, path: str, is_enough: Callable[[int], bool]) -> int | None:
        """Write the newest one to a new file; its sequence, or none if there is none.

        Args:
            path: the new file.
            is_enough: whether the log goes on from a sequence. Where a listing lags, the newest one
                that is seen may be too old for that.

        Raises:
            StoreDamaged: it differs from what was put.
            StoreUnavailable: none that is seen is enough.
        """
        for _ in range(_TRIES):
            self._files.refresh(self._place.path("snapshots"))
            kept = self._kept()
            if not kept:
                return None
            sequence = int(kept[-1].partition("-")[0])
            if is_enough(sequence) and self._copied(kept[-1], path):
                return sequence
        raise StoreUnavailable(
            f"the shared log {self._place.directory} has been trimmed, and the snapshot to start "
            f"from is not seen here yet; try again in a minute"
        )

    def _kept(self) -> list[str]:
        names = self._files.names(self._place.path("snapshots"))
        return [name for name in names if _NAME.fullmatch(name)]

    def _copied(self, name: str, path: str) -> bool:
        """Copy one; false where a newer one has just taken its place."""
        digest = sha256()
        try:
            with (
                self._files.opened(self._place.path("snapshots", name)) as source,
                open(path, "wb") as copy,
            ):
                copy.writelines(_hashed(source, digest.update))
                copy.flush()
                os.fsync(copy.fileno())
        except OSError as error:
            if error.errno in VANISHED:
                return False
            raise
        if digest.hexdigest()[:32] != name.partition("-")[2]:
            raise StoreDamaged(
                f"the snapshot {self._place.path('snapshots', name)} is damaged; where a replica "
                f"still has everything, `tidings backup` there saves it"
            )
        return True


def _hashed(file: BinaryIO, update: Callable[[bytes], None]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        update(piece)
        yield piece
