"""What options hold: `key=value` and `key:=json`, `TYPE/ID`, whole numbers."""

from __future__ import annotations

from json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["read_aggregate", "read_pair", "read_whole"]


def read_pair(text: str) -> tuple[str, Any]:
    """A key and its value: a string after `=`, a JSON value after `:=`.

    Raises:
        ValueError: there is no key or no `=`, or what follows `:=` is not JSON.

    >>> read_pair("host=n12"), read_pair("job_id:=4711"), read_pair("url=a:=b")
    (('host', 'n12'), ('job_id', 4711), ('url', 'a:=b'))
    """
    key, assigned, value = text.partition("=")
    as_json = key.endswith(":")
    key = key[:-1] if as_json else key
    if not assigned or not key:
        raise ValueError("must be key=value for a string, or key:=json for any JSON value")
    if not as_json:
        return key, value
    try:
        return key, loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"is not JSON after := ({error}); write {key}={value} for a string"
        ) from None


def read_aggregate(text: str) -> tuple[str, str]:
    """The type and id of a thing that events are about.

    Raises:
        ValueError: the text is not of the form `TYPE/ID`.

    >>> read_aggregate("run/4711")
    ('run', '4711')
    """
    kind, slash, name = text.partition("/")
    if not kind or not slash or not name:
        raise ValueError("must be TYPE/ID, such as agent/planner")
    return kind, name


def read_whole(text: str) -> int:
    """A position or a count.

    Raises:
        ValueError: the text is not a whole number from 0 on.

    >>> read_whole("17")
    17
    """
    if not text.isascii() or not text.isdecimal():
        raise ValueError("must be a whole number from 0 on")
    return int(text)
