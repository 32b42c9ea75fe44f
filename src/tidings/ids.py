"""Event ids: those made (UUIDv7) or derived (UUIDv8) here, and the key any id has in a store.

Keeps: ids made in one process are unique and increase, across threads and after a fork; what is
derived from the same words is the same id, in every process and for good. It does not judge foreign
ids; `event` bounds their length and characters.
"""

from __future__ import annotations

import os
from importlib import import_module
from sys import version_info
from threading import Lock
from time import time_ns

TYPE_CHECKING = False

__all__ = ["derived", "id_of_key", "key_of", "new_id", "new_key"]

_HEX = frozenset("0123456789abcdef")

_TAIL = 8
"""The random bytes that end a key."""
_TAILS_AT_ONCE = 512
_TAIL_BITS = int.from_bytes(b"\x3f\xff\xff\xff\xff\xff\xff\xff" * _TAILS_AT_ONCE)
_VARIANT = int.from_bytes(b"\x80\0\0\0\0\0\0\0" * _TAILS_AT_ONCE)

# RFC 9562, section 6.2, method 3: 12 bits of sub-millisecond time follow the 48 bits of
# milliseconds. Together they are one 60-bit clock, which we never let stand still.
_lock = Lock()
_clock = 0
_tails = b""
_next_tail = 0


def _start_anew() -> None:
    """Forget lock and random bytes: a forked child must share neither with its parent."""
    global _lock, _tails, _next_tail
    _lock, _tails, _next_tail = Lock(), b"", 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def new_key() -> bytes:
    """Make the 16 bytes of a UUIDv7 that is greater than every one this process made before.

    Source: RFC 9562, sections 5.7 and 6.2 (method 3, "replace leftmost random bits").

    >>> first, second = new_key(), new_key()
    >>> first < second, len(first), first[6] >> 4
    (True, 16, 7)
    """
    global _clock, _tails, _next_tail
    # Milliseconds and, below them, 4,096 steps to each.
    clock = (time_ns() << 12) // 1_000_000
    with _lock:
        if clock <= _clock:
            clock = _clock + 1
        _clock = clock
        if _next_tail == len(_tails):
            _tails, _next_tail = _new_tails(), 0
        tail = _tails[_next_tail : _next_tail + _TAIL]
        _next_tail += _TAIL
    return ((clock >> 12) << 16 | 0x7000 | clock & 0xFFF).to_bytes(8, "big") + tail


def _new_tails() -> bytes:
    """The ends of many keys: random, but for the two bits that say what kind of UUID it is."""
    size = _TAIL * _TAILS_AT_ONCE
    return (int.from_bytes(os.urandom(size)) & _TAIL_BITS | _VARIANT).to_bytes(size)


def new_id() -> str:
    """Make a UUIDv7 that is greater than every one this process made before; see `new_key`."""
    return id_of_key(new_key())


def derived(*parts: str) -> str:
    """Make the UUIDv8 that follows from some words, for what may be sent again.

    Source: RFC 9562, section 5.8: version 8, variant 0b10, the rest ours.

    Args:
        parts: what tells it from everything else. None of them but the last may hold a NUL, which
            stands between them.

    >>> derived("order", "17") == derived("order", "17"), derived("order", "18")[14]
    (True, '8')
    """
    digest = bytearray(_sha256("\0".join(parts)))
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return id_of_key(bytes(digest))


def key_of(event_id: str, source: str) -> bytes:
    """The 16 bytes under which a store finds an event.

    Args:
        event_id: the event's id, any string.
        source: where the event comes from. CloudEvents makes ids unique for each source, so two
            sources may use the same foreign id; a UUID is taken to be unique by itself.

    Returns:
        The UUID's bytes where the id is one in its usual form (36 characters, lower case), else the
        first 16 bytes of SHA-256 over source and id.

    >>> key_of("00000000-0000-7000-8000-000000000001", "local").hex()
    '00000000000070008000000000000001'
    >>> key_of("build-42", "ci") == key_of("build-42", "hpc")
    False
    """
    if len(event_id) == 36:
        digits = event_id.replace("-", "")
        if len(digits) == 32 and _HEX.issuperset(digits) and _hyphens_in_place(event_id):
            return bytes.fromhex(digits)
    return _sha256(f"{source}\x00{event_id}")


def id_of_key(key: bytes) -> str:
    """The UUID whose bytes these are, in its usual form.

    >>> id_of_key(bytes.fromhex("00000000000070008000000000000001"))
    '00000000-0000-7000-8000-000000000001'
    """
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _sha256(text: str) -> bytes:
    """The first 16 bytes of a text's hash."""
    if TYPE_CHECKING:
        from hashlib import sha256
    else:
        try:
            # `hashlib` loads OpenSSL, which costs a hook four milliseconds; Python brings its own.
            sha256 = import_module("_sha2" if version_info >= (3, 12) else "_sha256").sha256
        except (ImportError, AttributeError):
            from hashlib import sha256
    return sha256(text.encode()).digest()[:16]


def _hyphens_in_place(text: str) -> bool:
    return text[8] == "-" and text[13] == "-" and text[18] == "-" and text[23] == "-"
