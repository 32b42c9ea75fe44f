"""In which of the three HTTP modes a request carries CloudEvents, if it carries any.

Source: HTTP binding 1.0.2, section 3: the media type tells batch and structured mode, and what is
neither is in binary mode where it has the headers of one. The SDK goes by headers first and takes
a structured event, sent by a proxy that copied them, for a binary one. It reads no events.
"""

from __future__ import annotations

__all__ = ["BATCH", "BINARY", "STRUCTURED", "mode_of"]

BATCH, STRUCTURED, BINARY = ("batch", "structured", "binary")

_PREFIX = "application/cloudevents"


def mode_of(content_type: str | None, specversion: str | None) -> str | None:
    """The mode of a request.

    Args:
        content_type: its Content-Type, if it has one.
        specversion: its header `ce-specversion`, if it has one.

    Returns:
        `batch`, `structured` or `binary`; None where it carries no CloudEvents. Whether the format
        after the plus sign (`+json`) is one that is understood, is the caller's to see.

    >>> mode_of("application/cloudevents-batch+json", None), mode_of("application/json", "1.0")
    ('batch', 'binary')
    >>> mode_of("Application/CloudEvents+JSON; charset=utf-8", "1.0"), mode_of(None, None)
    ('structured', None)
    """
    if content_type is not None:
        essence = content_type.partition(";")[0].strip().lower()
        if essence.startswith(f"{_PREFIX}-batch"):
            return BATCH
        if essence.startswith(_PREFIX):
            return STRUCTURED
    return None if specversion is None else BINARY
