"""The names of state files: one for each event type, whatever it is called."""

from __future__ import annotations

from hashlib import sha256

__all__ = ["HISTORY", "LATEST", "file_name"]

HISTORY = "history.jsonl"
LATEST = "_latest.json"

_NAME_BYTES = 200  # a file name has 255 bytes; the rest is for the ending and for `.….tmp`
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def file_name(event_type: str) -> str:
    """What the name of a type's file begins with; see `StateFiles.path_of`."""
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in event_type.encode())
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _NAME_BYTES:
        return name
    # No other name has a `~`: it would be written `%7E`.
    return f"{name[: _NAME_BYTES - 33]}~{sha256(event_type.encode()).hexdigest()[:32]}"
