"""How large a body may be.

Keeps promise 6: what is read whole is bounded; what is longer comes as NDJSON and is not.
"""

from __future__ import annotations

__all__ = ["ARRAY_BYTES", "longest_body"]

ARRAY_BYTES = 16 * 1024 * 1024
"""The largest array that is read whole (bytes)."""

_OTHER_FIELDS_BYTES = 64 * 1024
"""What an event's other fields may take in a body, beside its payload."""


def longest_body(max_payload: int) -> int:
    """The largest body, or line, of one event (bytes)."""
    return max_payload + _OTHER_FIELDS_BYTES
