"""Attributes of a CloudEvent as HTTP headers `ce-…`, percent-encoded.

Source: HTTP binding 1.0.2, section 3.1.3. It does not know what an attribute means; `attributes`
does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidings.errors import InvalidEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["canonical", "percent_encode", "read_headers", "write_headers"]

_PREFIX = "ce-"
_CONTENT_TYPE = "content-type"
_MEDIA_TYPE = "datacontenttype"
_UNSAFE = re.compile(r"[^!#$&-~]+")
"""All but printable ASCII without space, double quote and percent sign."""

_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPED = re.compile(r"\\(.)")


def canonical(value: str | int) -> str:
    """An attribute's value as text. Source: CloudEvents 1.0.2, "Type System"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def percent_encode(text: str) -> str:
    """Text as printable ASCII without spaces, double quotes and bare percent signs.

    >>> percent_encode("Euro €")
    'Euro%20%E2%82%AC'
    """
    return _UNSAFE.sub(lambda unsafe: "".join(f"%{byte:02X}" for byte in unsafe[0].encode()), text)


def write_headers(attributes: Mapping[str, str | int]) -> dict[str, str]:
    """The headers that carry attributes; `datacontenttype` is the Content-Type.

    >>> write_headers({"id": "evt 1", "datacontenttype": "text/plain"})
    {'ce-id': 'evt%201', 'content-type': 'text/plain'}
    """
    headers = {
        _PREFIX + name: percent_encode(canonical(value))
        for name, value in attributes.items()
        if name != _MEDIA_TYPE
    }
    if _MEDIA_TYPE in attributes:
        headers[_CONTENT_TYPE] = canonical(attributes[_MEDIA_TYPE])
    return headers


def read_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """The attributes that headers carry; other headers are left alone.

    Args:
        headers: names (of any case) and values, or pairs of them.

    Raises:
        InvalidEvent: a header stands twice, or its value is not encoded as it must be.

    >>> read_headers({"Ce-Id": "evt%201", "Content-Type": "text/plain", "Host": "example.org"})
    {'id': 'evt 1', 'datacontenttype': 'text/plain'}
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    attributes: dict[str, str] = {}
    for header, value in pairs:
        name = _attribute_of(header)
        if name is None:
            continue
        if name in attributes:
            raise InvalidEvent(header, value, "must be given once")
        attributes[name] = value.strip(" \t") if name == _MEDIA_TYPE else _decode(header, value)
    return attributes


def _attribute_of(header: str) -> str | None:
    name = header.lower()
    if name == _CONTENT_TYPE:
        return _MEDIA_TYPE
    if name == _PREFIX + _MEDIA_TYPE:
        raise InvalidEvent(header, "", "must not be given; Content-Type says it")
    return name[len(_PREFIX) :] if name.startswith(_PREFIX) else None


def _decode(header: str, value: str) -> str:
    """Unquote, then percent-decode once; a percent sign that encodes nothing stands for itself."""
    if not value.isascii():
        raise InvalidEvent(header, value, "must be ASCII; percent-encode the UTF-8 of the rest")
    text = value.strip(" \t")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:-1])
    try:
        return _ENCODED.sub(lambda run: bytes.fromhex(run[0].replace("%", "")).decode(), text)
    except UnicodeDecodeError:
        raise InvalidEvent(header, value, "must be percent-encoded UTF-8") from None
