"""Long payloads, cut to what a model can read, with a mark wherever something is missing.

The structure stays: long texts lose their end and long lists their rest, so that a short value
beside them is still seen. What is whole is left as it is.
"""

from __future__ import annotations

from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["cut"]

_STEPS = ((1000, 50, 8), (200, 20, 5), (60, 8, 3))
"""What is left of texts (characters), of lists and objects (members), and of levels; then less."""


def cut(value: Any, text: str, most: int) -> Any:
    """A JSON value of about `most` characters at most.

    Args:
        value: the value.
        text: its JSON.
        most: how many characters it may take.

    Returns:
        The value itself where it is short enough. Else with marks that begin with `…`; and where
        even that is too long, the beginning of its JSON as a text.

    >>> cut({"log": "x" * 3000, "exit_code": 1}, "x" * 3100, 130)["log"][-30:]
    'xxxxx… [2,940 characters more]'
    """
    if len(text) <= most:
        return value
    for characters, members, levels in _STEPS:
        shorter = _shorter(value, min(characters, most), members, levels)
        if len(encode_json(shorter)) <= most:
            return shorter
    return _head(text, max(0, most - 40))


def _shorter(value: Any, characters: int, members: int, levels: int) -> Any:
    if isinstance(value, str):
        return _head(value, characters)
    if not isinstance(value, list | dict) or not value:
        return value
    if levels == 0:
        return f"… [{len(value):,} members]"
    more = len(value) - members
    if isinstance(value, list):
        short = [_shorter(each, characters, members, levels - 1) for each in value[:members]]
        return [*short, f"… [{more:,} more]"] if more > 0 else short
    pairs = list(value.items())[:members]
    kept = {_head(k, 100): _shorter(v, characters, members, levels - 1) for k, v in pairs}
    return {**kept, "…": f"[{more:,} keys more]"} if more > 0 else kept


def _head(text: str, characters: int) -> str:
    """The beginning of a text, and how much is missing, where that is shorter."""
    more = len(text) - characters
    return text if more <= 30 else f"{text[:characters]}… [{more:,} characters more]"
