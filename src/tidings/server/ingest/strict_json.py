"""JSON as RFC 8259 has it, from strangers: read strictly, whatever they send.

Keeps promise 5. Python's reader takes more than JSON has (NaN, UTF-16, a key twice of which one is
lost); an event of which a part is silently lost is not the one that was sent.
"""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder

from tidings.errors import shorten
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["read_json"]


class _NotJson(ValueError):  # noqa: N818 - what is said of the text; it never leaves this file
    """Python reads it, and it is no JSON, or says two things."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _NotJson(f"the key {shorten(name)} is there twice")
            seen.add(name)
    return found


def _no_number(text: str) -> Any:
    raise _NotJson(f"JSON has no {text}")


_decoder = JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
_scan = _decoder.scan_once  # type: ignore[attr-defined]  # absent from typeshed


def read_json(data: bytes) -> Any:
    """The value of a JSON text.

    Args:
        data: the text, in UTF-8.

    Raises:
        Problem: it is no JSON (422); the detail says where.

    >>> read_json(b'{"n": [1, null]}')
    {'n': [1, None]}
    """
    try:
        return _decode(data.decode())
    except UnicodeDecodeError as error:
        raise _invalid(f"it is not UTF-8: byte {error.start} cannot be decoded") from None
    except RecursionError:
        raise _invalid("it is nested too deeply") from None
    except (JSONDecodeError, _NotJson) as error:
        raise _invalid(str(error)) from None
    except ValueError:
        # Python's bound on whole numbers, as reading them takes time by the square of their length.
        raise _invalid("a number has more digits than are read, 4,300") from None


def _decode(text: str) -> Any:
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    # Most texts have nothing around the value; then this was two thirds of the time of `decode`.
    return value if end == len(text) else _decoder.decode(text)


def _invalid(why: str) -> Problem:
    detail = f"this is not valid JSON: {why}"
    return Problem(422, "invalid-json", detail, errors=[{"field": "body", "message": why}])
