"""Sessions of browsers: a cookie instead of a key, for pages that cannot send headers.

A browser's `EventSource` sends no header of ours, and a key in a URL would stand in logs. So a page
trades its key for a random session id in a cookie that scripts cannot read. The ledger holds the
id's hash, and every worker knows it within two seconds. A session dies with its key. Keeps promise
6; whose request may use a cookie is decided in `guard`.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from time import monotonic
from typing import NamedTuple

from tidings.errors import StoreUnavailable
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.server.keys import Key, KeyRing
    from tidings.store.base import Store

__all__ = ["COOKIE", "SESSION_SECONDS", "Sessions", "session_cookie", "session_id_of"]

COOKIE = "tidings_session"
SESSION_SECONDS = 12 * 3600

_SESSION = "session/"
_TRUSTED_SECONDS = 2.0
"""So long the ledger is not asked about a session again."""

_SWEEP_SECONDS = 3600.0
_MOST_REMEMBERED = 10_000
_LONGEST_ID = 128


class _Seen(NamedTuple):
    """What the ledger said of a session id: its key, if it is one, and its end."""

    key_id: str
    expires_at: int
    at: float


class Sessions:
    """The sessions of a store.

    `begin`, `look_up` and `end` ask the ledger, so they block; `recall` answers from memory.

    Args:
        store: whose ledger holds them.
        keys: the keys they were begun with.
        clock: gives the time (seconds), for what is remembered.
    """

    def __init__(self, store: Store, keys: KeyRing, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._swept_at: float | None = None

    def begin(self, key: Key) -> str:
        """Begin a session; blocks.

        Returns:
            Its id, for the cookie; it cannot be had again.
        """
        self._sweep()
        session_id = secrets.token_hex(32)
        expires_at = now_instant() + SESSION_SECONDS * 1_000_000
        if key.expires_at is not None:
            expires_at = min(expires_at, key.expires_at)
        value = {"key": key.id, "expires_at": expires_at}
        self._store.put(_SESSION + _hash(session_id), value, expected=0)
        return session_id

    def recall(self, session_id: str) -> tuple[bool, Key | None]:
        """Whether the ledger was asked about a session just now, and the key it is for."""
        seen = self._seen.get(_hash(session_id))
        if seen is None or self._clock() - seen.at > _TRUSTED_SECONDS:
            return False, None
        return True, self._key_of(seen)

    def remembers(self, session_id: str) -> bool:
        """Whether this was a session when the ledger was last asked; nobody guesses one."""
        seen = self._seen.get(_hash(session_id))
        return seen is not None and self._key_of(seen) is not None

    def look_up(self, session_id: str) -> Key | None:
        """The key a session is for, while both last; blocks.

        Raises:
            StoreUnavailable: the ledger cannot be read, and nothing is known of the session.
        """
        hashed = _hash(session_id)
        try:
            record = self._store.get(_SESSION + hashed)
            if record is None:
                self._store.catch_up()  # It may have begun at another server a moment ago.
                record = self._store.get(_SESSION + hashed)
        except StoreUnavailable:
            # As with keys: what was last known holds.
            if hashed not in self._seen:
                raise
            seen = self._seen[hashed]._replace(at=self._clock())
        else:
            key_id, expires_at = "", 0
            if record is not None:
                key_id, expires_at = record.value["key"], record.value["expires_at"]
            seen = _Seen(key_id, expires_at, self._clock())
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.clear()
        self._seen[hashed] = seen
        return self._key_of(seen)

    def end(self, session_id: str) -> None:
        """End a session, if it is one; blocks."""
        hashed = _hash(session_id)
        self._store.delete(_SESSION + hashed)
        self._seen.pop(hashed, None)

    def _key_of(self, seen: _Seen) -> Key | None:
        return self._keys.known(seen.key_id) if now_instant() < seen.expires_at else None

    def _sweep(self) -> None:
        """Remove what has ended from the ledger, once an hour."""
        now = self._clock()
        if self._swept_at is not None and now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        for name in self._store.keys(_SESSION):
            record = self._store.get(name)
            if record is not None and record.value["expires_at"] <= now_instant():
                self._store.delete(name)


def session_id_of(cookies: str) -> str:
    """The session id in a `Cookie` header; empty where there is none.

    >>> session_id_of("theme=dark; tidings_session=ab12")
    'ab12'
    """
    for pair in cookies.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE and len(value) <= _LONGEST_ID:
            return value.strip('"')
    return ""


def session_cookie(session_id: str, *, path: str, secure: bool) -> str:
    """The value of `Set-Cookie` that gives a browser a session, or with an empty id takes it away.

    Args:
        session_id: what `Sessions.begin` returned.
        path: under which the server is seen, such as `/tidings`; empty for `/`.
        secure: whether it was asked for over https; the cookie is then sent nowhere else.
    """
    age = SESSION_SECONDS if session_id else 0
    flags = f"HttpOnly; SameSite=Strict; Path={path or '/'}; Max-Age={age}"
    return f"{COOKIE}={session_id}; {flags}{'; Secure' if secure else ''}"


def _hash(session_id: str) -> str:
    # A fast hash, for the reason that `keys` gives: the id is 256 random bits.
    return sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
