"""What the fields of an event may hold: the rules, and the fast way through them.

Each function returns the value in the form it is kept in, or raises `InvalidEvent`. It does not
know which field belongs to which event; `event` does.
"""

from __future__ import annotations

import json.encoder
from json import loads
from json.decoder import JSONDecoder
from json.encoder import JSONEncoder, encode_basestring

from tidings.errors import InvalidEvent, TooLarge
from tidings.timestamps import format_instant, parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    Json: TypeAlias = Any

__all__ = [
    "EncodedObject",
    "count",
    "decode_json",
    "encode_json",
    "forbidden",
    "json_text",
    "moment",
    "name",
    "object_text",
    "word",
]

MAX_CHARACTERS = 255
MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_DEPTH = 200
"""Deepest nesting of a value: far below what makes a JSON decoder run out of stack."""

_REMEMBERED = 4096
_checked: dict[str, str] = {}
"""Strings found good before: types, projects and ids recur, and a look-up beats a check."""


def name(field: str, value: object) -> str:
    """A string that names something: 1–255 characters, none of them a control character."""
    text = word(field, value)
    if not text:
        raise InvalidEvent(field, value, "must not be empty")
    return text


def word(field: str, value: object) -> str:
    """A string of at most 255 characters, none of them a control character; may be empty."""
    try:
        return _checked[value]  # type: ignore[index]  # any other type of key is a miss
    except KeyError:
        pass
    except TypeError:
        raise InvalidEvent(field, value, "must be a string") from None
    if not isinstance(value, str):
        raise InvalidEvent(field, value, "must be a string")
    if len(value) > MAX_CHARACTERS:
        raise InvalidEvent(field, value, f"must be at most {MAX_CHARACTERS} characters long")
    if not value.isprintable() and any(map(forbidden, value)):
        raise InvalidEvent(field, value, "must not contain control characters or line breaks")
    # A subclass, such as a member of a str enum, is kept as what it says.
    plain = str.__str__(value)
    if len(_checked) >= _REMEMBERED:
        _checked.clear()
    _checked[plain] = plain
    return plain


def moment(value: object, field: str = "timestamp") -> tuple[int, str | None]:
    """A timestamp's instant, and its text where it is not the one we would write."""
    try:
        text = word(field, value)
        instant = parse_instant(text)
    except InvalidEvent:
        raise
    except (ValueError, OverflowError):
        raise InvalidEvent(
            field, value, "must be an ISO 8601 timestamp such as 2026-01-01T12:00:00Z"
        ) from None
    return instant, None if text == format_instant(instant) else text


def count(field: str, value: object) -> int | None:
    """A position or version: 1 or more, or none."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**63:
        raise InvalidEvent(field, value, "must be a whole number from 1 on")
    return value


class EncodedObject(str):
    """The text of a JSON object encoded and checked before, such as a process's context."""

    __slots__ = ()


def object_text(field: str, value: Mapping[str, Json] | EncodedObject | None) -> str | None:
    """A JSON object's text; none where there is nothing in it."""
    if value is None:
        return None
    if isinstance(value, EncodedObject):
        return str.__str__(value) or None  # plain text: SQLite looks at a subclass for longer
    text = json_text(field, value)
    if text[0] != "{":
        raise InvalidEvent(field, value, "must be an object")
    return None if text == "{}" else text


def json_text(field: str, value: Json, max_bytes: int = MAX_PAYLOAD_BYTES) -> str:
    """A JSON value's text, at most `max_bytes` long and 200 levels deep."""
    try:
        text = encode_json(value)
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise InvalidEvent(field, value, "must not contain lone surrogates") from None
    except RecursionError:
        raise InvalidEvent(field, type(value), "is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise InvalidEvent(field, value, f"must be a JSON value: {error}") from None
    if size > max_bytes:
        raise TooLarge(field, value, size, max_bytes)
    if size > 2 * MAX_DEPTH and text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(text):
        raise InvalidEvent(field, value, f"must not be nested more than {MAX_DEPTH} levels deep")
    return text


def _refuse(value: object) -> Json:
    raise TypeError(f"JSON has no {type(value).__name__}")


if json.encoder.c_make_encoder is None:  # type: ignore[attr-defined]  # absent from typeshed

    def encode_json(value: Json) -> str:
        """The value as compact JSON text."""
        encoder = JSONEncoder(
            ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
        )
        return encoder.encode(value)
else:
    # A kept encoder takes half the time of `json.dumps`, which makes one for each call. Without
    # the dict of markers it can be shared between threads; a circle ends as RecursionError.
    _chunks = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
        None, _refuse, encode_basestring, None, ":", ",", False, False, False
    )

    def encode_json(value: Json) -> str:
        """The value as compact JSON text.

        Raises:
            TypeError, ValueError, RecursionError: it is no JSON value.
        """
        return "".join(_chunks(value, 0))


_scan = JSONDecoder().scan_once  # type: ignore[attr-defined]  # absent from typeshed


def decode_json(text: str) -> Json:
    """The value of what `encode_json` wrote; two thirds of the time of `json.loads`.

    >>> decode_json(encode_json({"n": [1, None]}))
    {'n': [1, None]}
    """
    value, _ = _scan(text, 0)
    return value


def _too_deep(text: str) -> bool:
    try:
        value = loads(text)
    except RecursionError:
        return True
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def forbidden(character: str) -> bool:
    """Whether a field may not hold a character: a control, a line break or a lone surrogate."""
    return (
        character < " "
        or "\x7f" <= character <= "\x9f"
        or character in "\u2028\u2029"
        or "\ud800" <= character <= "\udfff"
    )
