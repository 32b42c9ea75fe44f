"""API keys: made, listed, revoked and checked; kept in the ledger as hashes.

Keeps promise 6 (nobody gets in): a key is shown once and its secret is kept nowhere. What a key may
do is decided in `access`, when it is asked for in `guard`. Standard library only, because the
command line makes keys without the extra `server`.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from hashlib import sha256
from threading import Lock, Thread
from time import sleep
from typing import NamedTuple

from tidings.errors import InvalidSetting, RevisionConflict, StoreClosed, shorten
from tidings.fields import word
from tidings.store.ledger import PRIVATE_PREFIXES
from tidings.timestamps import now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tidings.store.base import Store

__all__ = ["PRIVATE_PREFIXES", "SCOPES", "Key", "KeyRing"]

SCOPES = ("emit", "read", "admin")
"""What a key may allow; `admin` includes the others."""

_KEY = "key/"
_USE = "key-use/"
_REFRESH_SECONDS = 1.0
"""How often the ledger is asked for keys; revoking takes effect within twice that, everywhere."""

_USE_INSTANTS = 60 * 1_000_000
"""The last use of a key is written once in so long at most (microseconds)."""

_ID_BYTES = 6
_SECRET_BYTES = 32
_TOKEN = re.compile("tid_([0-9a-f]{12})_([0-9a-f]{64})")

_log = logging.getLogger("tidings.server")


class Key(NamedTuple):
    """A key without its secret.

    Attributes:
        id: names it, in lists and in its token; no secret.
        name: what its maker calls it.
        scopes: what it allows, of `SCOPES`.
        projects: the only projects it is for; none for all.
        created_at: when it was made (microseconds since 1970).
        expires_at: from when on it is refused (microseconds since 1970); none for never.
    """

    id: str
    name: str
    scopes: frozenset[str]
    projects: frozenset[str] | None
    created_at: int
    expires_at: int | None

    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now_instant() >= self.expires_at

    def to_dict(self) -> dict[str, Any]:
        """What is kept of it and may be shown, as a JSON object."""
        return {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "projects": None if self.projects is None else sorted(self.projects),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }


class KeyRing:
    """The keys of a store.

    `create`, `list`, `revoke` and `last_used` ask the ledger. `check`, `known` and `any` answer
    from memory, which a thread keeps up with the ledger once `watch` was called; they are made for
    an event loop. While the ledger cannot be read the keys last known hold.

    Args:
        store: whose ledger holds them.

    >>> from tidings.store.memory import MemoryStore
    >>> ring = KeyRing(MemoryStore())
    >>> key, token = ring.create("ci", ["emit"])
    >>> ring.check(token).name, ring.check("tid_0_0"), token.startswith(f"tid_{key.id}_")
    ('ci', None, True)
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[str, Key]] = {}
        self._needed: bool | None = None
        """Whether there are or were keys; none before the ledger was first read."""
        self._used: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._lock = Lock()
        self._thread: Thread | None = None

    # For those who look after keys ---------------------------------------------------------------

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        projects: Iterable[str] | None = None,
        expires_at: int | None = None,
    ) -> tuple[Key, str]:
        """Make a key.

        Args:
            name: what to call it; may be empty.
            scopes: what it allows, at least one of `SCOPES`.
            projects: the only projects it is for; none for all.
            expires_at: from when on it is refused (microseconds since 1970); none for never.

        Returns:
            The key, and its token, which cannot be had again.

        Raises:
            InvalidSetting: a scope is not known, or the end lies in the past.
            InvalidEvent: the name or a project is none that an event could have.
        """
        key = Key(
            secrets.token_hex(_ID_BYTES),
            word("name", name),
            _checked_scopes(scopes),
            None if projects is None else frozenset(word("project", each) for each in projects),
            now_instant(),
            expires_at,
        )
        if key.expired():
            raise InvalidSetting("the end of the key lies in the past; give one to come")
        secret = secrets.token_hex(_SECRET_BYTES)
        self._store.put(_KEY + key.id, {**key.to_dict(), "hash": _hash(secret)}, expected=0)
        return key, f"tid_{key.id}_{secret}"

    def list(self) -> list[Key]:
        """All keys in the ledger, the oldest first; also those whose time is over."""
        found = (self._read(name.removeprefix(_KEY)) for name in self._store.keys(_KEY))
        return sorted((key for _, key in filter(None, found)), key=lambda key: key.created_at)

    def last_used(self, key_id: str) -> int | None:
        """When a key was last used, give or take a minute (microseconds since 1970)."""
        record = self._store.get(_USE + key_id)
        return None if record is None else int(record.value["used_at"])

    def revoke(self, key_id: str) -> bool:
        """Remove a key for good; servers refuse it within two seconds.

        Returns:
            Whether there was one.
        """
        if not self._store.delete(_KEY + key_id):
            return False
        self._store.delete(_USE + key_id)
        return True

    # For servers ---------------------------------------------------------------------------------

    def watch(self) -> None:
        """Read the keys, then keep up with the ledger until the store is closed.

        Raises:
            StoreUnavailable: the keys cannot be read now.
        """
        self.refresh()
        if self._thread is None:
            self._thread = Thread(target=self._keep_up, name="tidings-keys", daemon=True)
            self._thread.start()

    def any(self) -> bool:
        """Whether keys are needed: there are some, or there were since this ring was made.

        Who revokes the last key wants to keep somebody out, so that opens nothing.
        """
        if self._needed is None:
            self.refresh()
        return bool(self._needed)

    def check(self, token: str) -> Key | None:
        """The key that a token belongs to, if it is known and its time is not over."""
        if self._needed is None:
            self.refresh()
        parts = _TOKEN.fullmatch(token)
        entry = self._known.get(parts[1]) if parts else None
        if parts is None or entry is None:
            return None
        kept, key = entry
        # Ids are no secret, so a look-up may take its own time; the hash of the secret may not.
        if not hmac.compare_digest(_hash(parts[2]), kept) or key.expired():
            return None
        self._used[key.id] = now_instant()
        return key

    def check_anew(self, token: str) -> Key | None:
        """As `check`, after a look into the ledger for a key that was made just now; blocks."""
        parts = _TOKEN.fullmatch(token)
        if parts and parts[1] not in self._known:
            if self._store.get(_KEY + parts[1]) is None:
                self._store.catch_up()  # It may have been made at another server a moment ago.
            with self._lock:
                entry = self._read(parts[1])
                if entry is not None:
                    self._known = {**self._known, parts[1]: entry}
                    self._needed = True
        return self.check(token)

    def known(self, key_id: str) -> Key | None:
        """The key of this id, as long as it is neither revoked nor expired.

        Whatever outlives a request, such as a session or a live stream, asks this again.
        """
        entry = self._known.get(key_id)
        return None if entry is None or entry[1].expired() else entry[1]

    def refresh(self) -> None:
        """Read what has changed in the ledger; blocks.

        Keys are made and removed but never changed, so the names say what is new.
        """
        if self._needed is None:
            # A replica that is still empty would say that nobody needs a key.
            self._store.catch_up()
        with self._lock:
            names = frozenset(name.removeprefix(_KEY) for name in self._store.keys(_KEY))
            known = {name: entry for name, entry in self._known.items() if name in names}
            for name in names.difference(known):
                entry = self._read(name)
                if entry is not None:
                    known[name] = entry
            self._known = known
            self._needed = bool(self._needed or names)

    def _read(self, key_id: str) -> tuple[str, Key] | None:
        """A key's hash and the key; none where it is gone, or is not what we write."""
        record = self._store.get(_KEY + key_id)
        if record is None:
            return None
        value = record.value
        try:
            projects = value["projects"]
            key = Key(
                key_id,
                str(value["name"]),
                frozenset(value["scopes"]),
                None if projects is None else frozenset(projects),
                int(value["created_at"]),
                None if value["expires_at"] is None else int(value["expires_at"]),
            )
            return str(value["hash"]), key
        except (KeyError, TypeError, ValueError):
            _log.warning("ledger record %s%s is no key and is ignored", _KEY, key_id)
            return None

    def _keep_up(self) -> None:
        well = True
        while True:
            sleep(_REFRESH_SECONDS)
            try:
                self.refresh()
                self._write_uses()
            except StoreClosed:
                return
            except Exception as error:  # noqa: BLE001 - without this thread nobody could be shut out
                if well:
                    _log.warning("keys cannot be read, those last known hold: %s", error)
                well = False
            else:
                well = True

    def _write_uses(self) -> None:
        for key_id, used_at in list(self._used.items()):
            if used_at - self._written.get(key_id, 0) < _USE_INSTANTS:
                continue
            del self._used[key_id]
            if key_id in self._known:
                self._written[key_id] = self._write_use(key_id, used_at)

    def _write_use(self, key_id: str, used_at: int) -> int:
        """Write a key's last use, unless another worker did within the minute; when it was."""
        record = self._store.get(_USE + key_id)
        if record is not None and used_at - record.value["used_at"] < _USE_INSTANTS:
            return int(record.value["used_at"])
        try:
            expected = 0 if record is None else record.revision
            self._store.put(_USE + key_id, {"used_at": used_at}, expected)
        except RevisionConflict:
            return used_at  # another worker wrote it in between, so it is right already
        return used_at


def _hash(secret: str) -> str:
    """What is kept of a secret.

    A slow hash with salt protects what people choose, because it can be guessed. This secret is 256
    random bits: nobody guesses it however fast they hash, and a request must not wait.
    """
    return sha256(secret.encode("ascii")).hexdigest()


def _checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    found = frozenset(scopes)
    unknown = sorted(found.difference(SCOPES))
    if unknown or not found:
        what = f"scope {shorten(unknown[0])}" if unknown else "a key's scopes"
        raise InvalidSetting(f"{what} must be of {', '.join(SCOPES)}, at least one")
    return found
