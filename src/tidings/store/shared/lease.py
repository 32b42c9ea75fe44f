"""The lease: who puts entries in order just now, so that not everybody does.

It is for economy alone. Two who both think they hold it do each other no harm, because each place
in the order is claimed by its name (see `segments`). So it may be taken away quickly from one who
does not show signs of life, and clocks need not be right.
"""

from __future__ import annotations

from tidings.processes import has_ended, identity, read_identity
from tidings.store.shared.files import VANISHED, NotPlain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.shared.place import Place

__all__ = ["LEASE_SECONDS", "Lease"]

LEASE_SECONDS = 10.0
"""How long one who shows no sign of life is waited for."""

_BEAT_SECONDS = 1.0
_JUDGE_SECONDS = 0.2
"""How often it is looked whether the holder lives."""

_TO_WRITE_SECONDS = 2.0
"""How long one may take from making the file to saying in it who it is."""


class Lease:
    """The lease of one log, as one process sees it.

    Args:
        place: the log's directory.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._path = place.path("lease")
        self._said = identity().encode()
        self._beaten = 0.0
        self._judge_at = 0.0
        self._seen: tuple[bytes, float, float] | None = None

    def is_held(self) -> bool:
        """Whether another holds it, as far as a quick look tells."""
        files = self._place.files
        return files.exists(self._path) and files.monotonic() < self._judge_at

    def take(self) -> bool:
        """Take it if it is free, or if who holds it is dead; whether it is ours now.

        Raises:
            OSError: the directory cannot be written.
        """
        if self._made():
            return True
        self._judge_at = self._place.files.monotonic() + _JUDGE_SECONDS
        held = self._look()
        if held is None or not self._is_dead(*held):
            return False
        return self._put_aside(held[0]) and self._made()

    def beat(self) -> None:
        """Show a sign of life, once a second."""
        now = self._place.files.monotonic()
        if now - self._beaten > _BEAT_SECONDS:
            self._beaten = now
            try:
                self._place.files.touch(self._path)
            except OSError:
                return  # Somebody took it away: all that is done twice is work.

    def give_back(self) -> None:
        """Let others have it; where it was taken away meanwhile, it stays theirs."""
        held = self._look()
        if held is not None and held[0] == self._said:
            self._place.forget(self._path)

    def holder(self) -> dict[str, Any] | None:
        """Who holds it, for people."""
        held = self._look()
        return None if held is None else read_identity(held[0])

    def _made(self) -> bool:
        try:
            self._place.files.create(self._path, self._said, self._place.file_mode)
        except FileExistsError:
            return False
        self._beaten = self._place.files.monotonic()
        self._seen = None
        return True

    def _look(self) -> tuple[bytes, float] | None:
        """What its holder said, and when it last gave a sign of life; none where it is free."""
        try:
            with self._place.files.opened(self._path) as file:
                return file.read(), self._place.files.changed(file)
        except NotPlain:
            return b"", 0.0
        except OSError as error:
            if error.errno in VANISHED:
                return None
            raise

    def _is_dead(self, said: bytes, changed: float) -> bool:
        """Whether its holder is: known here, silent by the server's clock, or silent as we watch.

        The last is for file systems that take the time from their clients (Lustre does), where a
        clock may be wrong.
        """
        if has_ended(read_identity(said)):
            return True
        now = self._place.files.monotonic()
        if self._seen is None or self._seen[:2] != (said, changed):
            self._seen = (said, changed, now)
        if now - self._seen[2] > LEASE_SECONDS:
            return True
        patience = LEASE_SECONDS if said else _TO_WRITE_SECONDS
        return abs(self._place.now() - changed) > patience

    def _put_aside(self, dead: bytes) -> bool:
        """Take the lease away from one who is dead; whether it was still theirs."""
        aside = self._place.path("tmp", f"lease-{self._place.unique()}")
        files = self._place.files
        try:
            files.rename(self._path, aside)
            with files.opened(aside) as file:
                was_theirs = file.read() == dead
            if not was_theirs:
                files.link(aside, self._path)
        except OSError:
            return False  # Somebody else is at it.
        finally:
            self._place.forget(aside)
        return was_theirs
