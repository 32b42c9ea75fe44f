"""The data of a CloudEvent: JSON, text or bytes, and the payload that stands for it.

Text and bytes cannot be told from JSON by the payload alone, so two extensions of an event say it:
`datacontenttype` (absent for JSON) and `data_base64`, which is true where the payload is the base64
text of bytes. Source: JSON format 1.0.2, section 3.1, and HTTP binding 1.0.2, section 3.1.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from json import loads
from typing import Any, NamedTuple

from tidings.errors import InvalidEvent, shorten
from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.event import Event

__all__ = ["BINARY", "BINARY_MARK", "JSON", "NONE", "TEXT", "Content"]

JSON, TEXT, BINARY, NONE = ("json", "text", "binary", "none")

BINARY_MARK = "data_base64"
"""The extension that marks base64; no CloudEvents attribute can have a name with an underscore."""

_IMPLIED = {
    JSON: "application/json",
    NONE: "application/json",
    BINARY: "application/octet-stream",
}
"""What a kind of data is where no content type says; not kept among the extensions."""

_CODECS = {"": "utf-8", "utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
_CHARSET = re.compile(r';\s*charset="?([^\s;"]*)"?', re.IGNORECASE)
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(
    # Source: RFC 9110, sections 5.6.2 and 8.3.1. As a body's type, application/cloudevents would
    # announce another event format.
    rf"(?!application/cloudevents){_WORD}/{_WORD}( *;[ -~]*[!-~])?",
    re.IGNORECASE,
)


class Content(NamedTuple):
    """An event's data: of which kind, its value, and its media type.

    `value` is a JSON value, text, or the base64 text of bytes.
    """

    kind: str
    value: Any
    media_type: str | None

    @classmethod
    def of_event(cls, event: Event) -> Content:
        """What an event's payload is as data. Whatever is neither text nor bytes goes as JSON."""
        declared = event.extensions.get("datacontenttype")
        legal = isinstance(declared, str) and _MEDIA_TYPE.fullmatch(declared)
        media_type = declared if legal else None
        if event.redacted:
            return cls(NONE, None, media_type)
        payload = event.payload
        if event.extensions.get(BINARY_MARK) is True and _is_base64(payload):
            return cls(BINARY, payload, media_type or _IMPLIED[BINARY])
        if media_type is not None and not _is_json(media_type):
            if isinstance(payload, str) and _is_encodable(payload, media_type):
                return cls(TEXT, payload, media_type)
            media_type = None
        return cls(JSON, payload, media_type or _IMPLIED[JSON])

    @classmethod
    def of_members(cls, message: Mapping[str, Any], media_type: str | None) -> Content:
        """The data in a CloudEvent's JSON form.

        Raises:
            InvalidEvent: `data` does not fit its content type, or `data_base64` is no base64.
        """
        encoded, data = message.get(BINARY_MARK), message.get("data")
        if encoded is not None:
            if data is not None:
                raise InvalidEvent(BINARY_MARK, encoded, "must not stand beside data")
            return cls(BINARY, _canonical_base64(encoded), media_type or _IMPLIED[BINARY])
        if media_type is None or _is_json(media_type):
            kind = JSON if "data" in message else NONE
            return cls(kind, data, media_type or _IMPLIED[JSON])
        if data is None:
            return cls(NONE, None, media_type)
        if not isinstance(data, str):
            because = f"must be a string, since datacontenttype {shorten(media_type)} is not JSON"
            raise InvalidEvent("data", data, because)
        return cls(TEXT, data, media_type)

    @classmethod
    def of_body(cls, body: bytes, media_type: str | None, kind: str | None = None) -> Content:
        """The data in the body of a message in binary mode.

        Args:
            body: the bytes; an empty one is no data, unless its type is text or bytes.
            media_type: the message's Content-Type; left out, JSON.
            kind: what the body is, where the sender says so; else its type decides.

        Raises:
            InvalidEvent: the body is not what its Content-Type, or the sender, says.
        """
        media_type = media_type or _IMPLIED[JSON]
        kind = kind or _kind_of_body(body, media_type)
        if kind == BINARY:
            return cls(BINARY, b64encode(body).decode(), media_type)
        if kind == TEXT:
            return cls(TEXT, _decoded(body, media_type), media_type)
        return cls(JSON, _parsed(body), media_type) if body else cls(NONE, None, media_type)

    def members(self) -> dict[str, Any]:
        """The member of the JSON form that holds the data, if there is any."""
        if self.kind == NONE:
            return {}
        return {BINARY_MARK if self.kind == BINARY else "data": self.value}

    def body(self) -> bytes:
        """The body of a message in binary mode."""
        if self.kind == JSON:
            return encode_json(self.value).encode()
        if self.kind == TEXT:
            return str(self.value).encode(_codec(self.media_type))
        return b64decode(self.value) if self.kind == BINARY else b""

    def is_plain(self) -> bool:
        """Whether a reader of the body knows by its type alone of which kind it is."""
        return self.kind in (NONE, _kind_of_body(self.body(), self.media_type or ""))

    def payload(self) -> Any:
        """The payload that stands for the data; an empty object where there is none."""
        return {} if self.kind == NONE else self.value

    def extensions(self) -> dict[str, Any]:
        """The extensions that say what the payload alone does not."""
        marks: dict[str, Any] = {BINARY_MARK: True} if self.kind == BINARY else {}
        if self.media_type is not None and self.media_type != _IMPLIED.get(self.kind):
            marks["datacontenttype"] = self.media_type
        return marks


def _kind_of_body(body: bytes, media_type: str) -> str:
    if _is_json(media_type):
        return JSON
    main, _, sub = _essence(media_type).partition("/")
    looks_like_text = main == "text" or sub == "xml" or sub.endswith("+xml")
    return TEXT if looks_like_text and _decode(body, media_type) is not None else BINARY


def _is_json(media_type: str) -> bool:
    sub = _essence(media_type).partition("/")[2]
    return sub == "json" or sub.endswith("+json")


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _codec(media_type: str | None) -> str:
    """The codec of a text's charset; empty where it is none of those we read and write."""
    charset = _CHARSET.search(media_type or "")
    return _CODECS.get(charset[1].lower() if charset else "", "")


def _decode(body: bytes, media_type: str) -> str | None:
    codec = _codec(media_type)
    try:
        return body.decode(codec) if codec else None
    except UnicodeDecodeError:
        return None


def _decoded(body: bytes, media_type: str) -> str:
    text = _decode(body, media_type)
    if text is None:
        raise InvalidEvent("data", body, f"is not text as {shorten(media_type)} says")
    return text


def _is_encodable(text: str, media_type: str) -> bool:
    codec = _codec(media_type)
    try:
        return bool(codec) and text.encode(codec) is not None
    except UnicodeEncodeError:
        return False


def _parsed(body: bytes) -> Any:
    try:
        return loads(body)
    except RecursionError:
        raise InvalidEvent("data", body, "is nested too deeply") from None
    except ValueError as error:
        rule = f"is no JSON, which its Content-Type says or leaves open: {error}"
        raise InvalidEvent("data", body, rule) from None


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and _canonical_base64(value) == value
    except InvalidEvent:
        return False


def _canonical_base64(value: object) -> str:
    try:
        if isinstance(value, str):
            return b64encode(b64decode(value, validate=True)).decode()
    except ValueError:
        pass
    raise InvalidEvent(BINARY_MARK, value, "must be base64 (RFC 4648, section 4)")
