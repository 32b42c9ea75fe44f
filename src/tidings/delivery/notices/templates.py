"""Templates of titles and texts: `{type}`, `{payload.exit_code}`; braces are doubled to be meant.

A language of its own, because `str.format` would let a template reach into Python's objects. Keeps
its part of promise 5: a template that names what there is not is refused when it is given. What a
name stands for is said in `messages`.
"""

from __future__ import annotations

import re

from tidings.errors import InvalidSetting, shorten
from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["NAMES", "TREES", "Template", "said"]

NAMES = {
    "summary": "the usual title",
    "details": "the usual text",
    "type": "the event's type; of several events, their types",
    "project": "its project",
    "status": "its outcome; of several, failure if one failed, else success",
    "source": "local, hpc, ci, …",
    "id": "the event's id",
    "position": "its position; of several, that of the last one",
    "timestamp": "when it happened",
    "user": "on whose behalf it happened",
    "aggregate": "what it is about, as TYPE/ID",
    "workflow": "the undertaking's correlation id",
    "undertaking": "the undertaking in words: slurm array 4711",
    "host": "where it happened",
    "count": "of so many events this tells",
    "ok": "so many jobs ended well",
    "failed": "so many failed",
    "tasks": "so many jobs the array has, where that is known",
    "failures": "the jobs that failed, with what is known of each",
    "more": "the command that shows more",
    "notice": "the name of the notice",
}
"""What may stand in braces, and what it stands for; empty where there is no such thing."""

TREES = ("payload", "context")
"""What a path may lead into: `{payload}`, `{payload.job_id}`, `{context.slurm.job_id}`."""

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_MOST_CHARACTERS = 16_384
_MOST_SAID = 2_000


class Template:
    """A text with places to be filled.

    Args:
        text: the text.
        what: what error messages call it.

    Raises:
        InvalidSetting: a brace is not closed, or a name is not known.

    >>> template = Template("{type} ended with {payload.exit_code} {{so}}")
    >>> template.filled({"type": "job_done"}, {"payload": {"exit_code": 3}})
    'job_done ended with 3 {so}'
    """

    def __init__(self, text: str, what: str = "template") -> None:
        if len(text) > _MOST_CHARACTERS:
            raise InvalidSetting(f"the {what} must have at most {_MOST_CHARACTERS:,} characters")
        self._parts: list[str | tuple[str, ...]] = []
        end = 0
        for piece in _PIECE.finditer(text):
            self._parts.append(text[end : piece.start()])
            end = piece.end()
            if piece[0] in {"{", "}"}:
                raise InvalidSetting(
                    f"the {what} has a lone {piece[0]} at character {piece.start() + 1}; "
                    f"write {piece[0] * 2} for the character itself"
                )
            self._parts.append(piece[0][0] if piece[1] is None else _path(piece[1], what))
        self._parts.append(text[end:])

    def filled(self, facts: Mapping[str, str], trees: Mapping[str, Any]) -> str:
        """The text with its places filled.

        Args:
            facts: texts by name; what is not there is empty.
            trees: the JSON values that paths lead into, by the name of the tree.
        """
        return "".join(
            part if isinstance(part, str) else _found(part, facts, trees) for part in self._parts
        )


def said(value: Any) -> str:
    """A JSON value as people read it: a string as it is, nothing for null, anything else as JSON.

    >>> said("n12"), said(None), said([1, True])
    ('n12', '', '[1,true]')
    """
    text = "" if value is None else value if isinstance(value, str) else encode_json(value)
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 1]}…"


def _path(name: str, what: str) -> tuple[str, ...]:
    path = tuple(name.split("."))
    if path[0] in TREES and all(path):
        return path
    if name in NAMES:
        return (name,)
    from difflib import get_close_matches

    close = get_close_matches(name, [*NAMES, *TREES], n=1)
    hint = f"; did you mean {{{close[0]}}}?" if close else ""
    raise InvalidSetting(
        f"the {what} has no {shorten('{' + name + '}')} to fill in{hint} There are "
        f"{', '.join(NAMES)}, payload.KEY and context.KEY; {{{{ stands for a brace"
    )


def _found(path: tuple[str, ...], facts: Mapping[str, str], trees: Mapping[str, Any]) -> str:
    if path[0] not in TREES:
        return facts.get(path[0], "")
    value = trees.get(path[0])
    for key in path[1:]:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and len(key) < 10:
            value = value[int(key)] if int(key) < len(value) else None
        else:
            return ""
    return said(value)
