"""What ledger keys and values may be: the rules every backend shares.

Keeps promise 5 for the ledger (bad input gets a clear error and changes nothing). Where records are
kept, and at which revision, is each backend's own.
"""

from __future__ import annotations

from tidings.errors import InvalidEvent, InvalidQuery, RevisionConflict, shorten
from tidings.fields import MAX_CHARACTERS, json_text, name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tidings.store.base import Put

__all__ = [
    "OWN_PREFIX",
    "PRIVATE_PREFIXES",
    "checked_key",
    "checked_page",
    "checked_prefix",
    "checked_puts",
    "encoded_value",
    "end_of",
    "expect_revision",
]

PRIVATE_PREFIXES = (
    "key/",
    "key-use/",
    "session/",
    "webhook/",
    "webhook-at/",  # what receivers answered may hold secrets
    "webhook-log/",
    "webhook-ask/",
    "webhook-shard/",  # what else than the engine's own in there would stop it
    "webhook-changed",
    "notice/",
)
"""Records of a server that serves the store; no route gives them out or takes them."""

OWN_PREFIX = "tidings/"
"""Records by which a store's users know of each other: what was removed, how a migration went. They
belong to the one store, so no copy takes them along, and no route lists them."""

_MAX_VALUE_BYTES = 16 * 1024 * 1024

_LAST = chr(0x10FFFF)
_FIRST_SURROGATE, _PAST_SURROGATES = 0xD800, 0xE000


def checked_key(key: object) -> str:
    """The key, if it is one: 1–255 characters, none of them a control character.

    Raises:
        InvalidQuery: it is none.
    """
    try:
        return name("key", key)
    except InvalidEvent as error:
        raise InvalidQuery(f"ledger {error}") from None


def checked_prefix(prefix: object) -> str:
    """The start of keys, if it is one: a string that UTF-8 can say.

    Raises:
        InvalidQuery: it is none.
    """
    try:
        if isinstance(prefix, str) and prefix.encode() is not None:
            return prefix
    except UnicodeEncodeError:
        pass
    raise InvalidQuery(f"ledger prefix {shorten(prefix)} must be a string without lone surrogates")


def checked_page(prefix: object, after: object, limit: int | None) -> tuple[str, str, int | None]:
    """The arguments of `Store.keys`, if they are fit.

    Raises:
        InvalidQuery: they are not.
    """
    if limit is not None and limit < 0:
        raise InvalidQuery(f"ledger limit {limit} must be a whole number from 0 on")
    return checked_prefix(prefix), checked_prefix(after), limit


def end_of(prefix: str) -> str:
    r"""A text past all keys that start with a prefix and ahead of all later ones.

    By code points, which is the order of the bytes too; so a range does what LIKE, for which % and
    _ mean something, could not, and ends where the last such key does.

    >>> end_of("job%"), end_of("a\ud7ff") == "a\ue000"
    ('job&', True)
    """
    stem = prefix.rstrip(_LAST)
    if not stem:
        return _LAST * (MAX_CHARACTERS + 1)
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(_PAST_SURROGATES if following == _FIRST_SURROGATE else following)


def encoded_value(value: Any) -> str:
    """The JSON text of a record's value, at most 16 MiB and 200 levels deep.

    Raises:
        InvalidQuery: it is no JSON value, or too large.
    """
    try:
        return json_text("value", value, _MAX_VALUE_BYTES)
    except InvalidEvent as error:
        raise InvalidQuery(f"ledger {error}") from None


def checked_puts(puts: Sequence[Put], revision_of: Callable[[str], int]) -> list[tuple[str, str]]:
    """The keys and encoded values of writes that may happen together.

    Args:
        puts: the writes of one request.
        revision_of: gives a record's revision; 0 where there is none.

    Raises:
        InvalidQuery: a key or value is not fit, or a key stands twice.
        RevisionConflict: a record is at another revision than expected.
    """
    written: dict[str, str] = {}
    for put in puts:
        key = checked_key(put.key)
        if key in written:
            raise InvalidQuery(f"ledger key {shorten(key)} must stand once in a request")
        written[key] = encoded_value(put.value)
        expect_revision(key, put.expected, revision_of(key))
    return list(written.items())


def expect_revision(key: str, expected: int | None, actual: int) -> None:
    """Refuse a write to a record that is not at the revision its writer expects.

    Raises:
        RevisionConflict: it is at another one.
    """
    if expected is not None and expected != actual:
        raise RevisionConflict(key, expected, actual)
