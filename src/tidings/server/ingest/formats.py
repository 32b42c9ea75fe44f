"""In which form a request brings its events, told by its Content-Type alone.

What is in no form we read is refused with the list of those we do. It reads no body.
"""

from __future__ import annotations

from tidings.cloudevents.http import BATCH, BINARY, STRUCTURED, mode_of
from tidings.errors import shorten
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.calls import Call

__all__ = ["BATCH", "BINARY", "JSON", "NDJSON", "NDJSON_TYPES", "STRUCTURED", "format_of"]

JSON, NDJSON = ("json", "ndjson")

NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
"""The media types of JSON texts, one a line."""

_READ = (
    "application/json",
    *NDJSON_TYPES,
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
)


def format_of(call: Call, *, only_json: bool = False) -> str:
    """The form of a request's body: `json`, `ndjson`, or the mode of its CloudEvents.

    Args:
        call: the request. One without Content-Type is read as JSON.
        only_json: whether the route takes one JSON object and nothing else.

    Raises:
        Problem: it is in another form, or compressed (415).
    """
    headers = dict(call.scope["headers"])
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        raise _compressed(str(coding, "latin-1"))
    content_type = str(headers.get(b"content-type", b""), "latin-1")
    specversion = call.header("ce-specversion") if b"ce-specversion" in headers else None
    essence = content_type.partition(";")[0].strip().lower()
    if only_json:
        if _is_json(essence):
            return JSON
        raise _unread(content_type, _READ[:1])
    mode = mode_of(content_type, specversion)
    if mode == BINARY or (mode is not None and essence.endswith("+json")):
        return mode
    if mode is None and _is_json(essence):
        return JSON
    if mode is None and essence in NDJSON_TYPES:
        return NDJSON
    raise _unread(content_type, _READ)


def _is_json(essence: str) -> bool:
    return essence in ("", "application/json") or essence.endswith("+json")


def _compressed(coding: str) -> Problem:
    return Problem(
        415,
        "unsupported-encoding",
        f"a body in Content-Encoding {shorten(coding)} is not read; send it as it is",
        headers=(("accept-encoding", "identity"),),
    )


def _unread(content_type: str, read: tuple[str, ...]) -> Problem:
    return Problem(
        415,
        "unsupported-media-type",
        f"a body of Content-Type {shorten(content_type)} is not read here; send one of "
        f"{', '.join(read)} (with curl: -H 'Content-Type: application/json')",
        accepted=list(read),
        headers=(("accept-post", ", ".join(read)),),
    )
