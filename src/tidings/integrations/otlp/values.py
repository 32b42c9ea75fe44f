"""The values of OTLP/JSON, as JSON values: typed, and bounded in size and depth.

Keeps promise 5: a value that makes no sense is left out, and never an error; what a span cannot do
without (its ids, its times) raises. It judges no attribute by its name.

Source: the OTLP specification, section "JSON Protobuf Encoding", and `common.proto`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from math import isfinite

from tidings.errors import InvalidEvent
from tidings.integrations.discretion import mended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["attributes_of", "nanoseconds", "objects", "parent_id", "span_id", "trace_id"]

MOST_ATTRIBUTES = 256
"""So many attributes of one span, event or link are read; SDKs stop at 128."""

_MOST_ITEMS = 256
_MOST_LEVELS = 16
_MOST_NANOSECONDS = 253_402_300_800_000_000_000  # the end of the year 9999
_SAFE_INTEGER = 2**63

_WHOLE = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SPAN_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


def objects(holder: dict[str, Any], field: str, where: str) -> list[dict[str, Any]]:
    """The objects in an array of a message.

    Args:
        holder: the message.
        field: the array; null and left out are empty.
        where: the message's place in the request.

    Raises:
        InvalidEvent: it is no array of objects.
    """
    found = holder.get(field)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidEvent(f"{where}{field}", found, "must be an array of objects")
    return found


def trace_id(value: object) -> str:
    """A trace's id, in lower case.

    Raises:
        InvalidEvent: it is none.
    """
    return _hexadecimal("traceId", value, _TRACE_ID, 32)


def span_id(value: object) -> str:
    """A span's id, in lower case.

    Raises:
        InvalidEvent: it is none.
    """
    return _hexadecimal("spanId", value, _SPAN_ID, 16)


def parent_id(value: object) -> str:
    """The id of a span's parent, in lower case; empty where it has none.

    Raises:
        InvalidEvent: it is no id.
    """
    # Some exporters write the id that is none in zeros.
    if value is None or value == "" or (isinstance(value, str) and not value.strip("0")):
        return ""
    return _hexadecimal("parentSpanId", value, _SPAN_ID, 16)


def _hexadecimal(field: str, value: object, form: re.Pattern[str], digits: int) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if not form.fullmatch(text) or not text.strip("0"):
        rule = f"must be {digits} hexadecimal digits, not all of them zero"
        raise InvalidEvent(field, value, rule)
    return text


def nanoseconds(field: str, value: object) -> int | None:
    """A moment in nanoseconds since 1970; none where there is none, or zero.

    Raises:
        InvalidEvent: it is no whole number, or lies beyond the year 9999.
    """
    if value is None:
        return None
    number = _integer(value)
    if number is None or not 0 <= number < _MOST_NANOSECONDS:
        rule = "must be nanoseconds since 1970, within the years 1970 to 9999"
        raise InvalidEvent(field, value, rule)
    return number or None


def attributes_of(holder: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a message, by key; those that make no sense are left out.

    >>> attributes_of({"attributes": [{"key": "n", "value": {"intValue": "7"}}, "what?"]})
    {'n': 7}
    """
    return _pairs(holder.get("attributes"), 0)


def _pairs(found: object, level: int) -> dict[str, Any]:
    if not isinstance(found, list):
        return {}
    pairs = {}
    for each in found[:MOST_ATTRIBUTES]:
        if isinstance(each, dict) and isinstance(each.get("key"), str):
            pairs[mended(each["key"])] = _value(each.get("value"), level)
    return pairs


def _value(value: object, level: int) -> Any:
    """What an AnyValue holds; none where it holds nothing we know."""
    if not isinstance(value, dict) or level > _MOST_LEVELS:
        return None
    for kind, given in value.items():
        read = _READERS.get(kind)
        if read is not None and given is not None:
            return read(given, level)
    return None


def _items(given: object, level: int) -> list[Any]:
    found = given.get("values") if isinstance(given, dict) else None
    if not isinstance(found, list):
        return []
    return [_value(each, level + 1) for each in found[:_MOST_ITEMS]]


def _members(given: object, level: int) -> dict[str, Any]:
    return _pairs(given.get("values"), level + 1) if isinstance(given, dict) else {}


def _integer(given: object, _level: int = 0) -> int | None:
    """A 64-bit integer, which comes as text or as a number."""
    if isinstance(given, str) and _WHOLE.fullmatch(given):
        given = int(given)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if type(given) is not int or not -_SAFE_INTEGER <= given < 2 * _SAFE_INTEGER:
        return None
    return given


def _double(given: object, _level: int) -> float | str | None:
    """A number; `NaN` and the infinities, which JSON has not, stay the texts they come as."""
    if isinstance(given, str) and given in ("NaN", "Infinity", "-Infinity"):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        number = float(given)
    except (OverflowError, ValueError):
        return None
    return number if isfinite(number) else None


def _bytes(given: object, _level: int) -> dict[str, int] | None:
    """Bytes, as their number: what they say only their producer knows."""
    if not isinstance(given, str):
        return None
    try:
        return {"bytes": len(b64decode(given, validate=True))}
    except ValueError:
        return None


_READERS: dict[str, Callable[[object, int], Any]] = {
    "stringValue": lambda given, _: mended(given) if isinstance(given, str) else None,
    "boolValue": lambda given, _: given if isinstance(given, bool) else None,
    "intValue": _integer,
    "doubleValue": _double,
    "bytesValue": _bytes,
    "arrayValue": _items,
    "kvlistValue": _members,
}
