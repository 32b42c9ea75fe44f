"""Discretion: what is kept of what people, programs and AI agents wrote, and what is cut out of it.

Prompts, answers and outputs are left out unless they are asked for, and no text is kept whole: what
looks like a secret becomes `[redacted]`, and what is too long is cut. Where in doubt it hides too
much. What a secret looks like stands in `secrets_in_text`; `TIDINGS_AGENT_REDACT` can name more.
"""

from __future__ import annotations

import re

from tidings import settings
from tidings.errors import InvalidSetting, shorten
from tidings.integrations.secrets_in_text import (
    REDACTED,
    is_flag_of_secret,
    is_name_of_secret,
    without_secrets,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["CONTENT", "REDACTED", "Discretion", "mended"]

CONTENT = ("off", "prompts", "all")
"""What may be kept, each with what stands before it: no text, prompts, everything."""

_BEYOND = 8192
"""How far beyond the limit a text is looked at: what is cut may be the end of a secret."""
_LONGEST_SECRET = 1024
"""Of a text that is not looked at to its end so much before that is not shown: it may be the
beginning of a secret, which could not be told for lack of the rest."""

_DEEPEST = 6
_MOST_ITEMS = 50
_LONGEST_KEY = 100
_MOST_CHARACTERS = 100_000
"""Of one value so much is kept at most (characters, about)."""


def mended(text: str) -> str:
    """The text with U+FFFD in place of lone surrogates, which JSON can hold and UTF-8 cannot."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Discretion:
    """What is kept of texts.

    Args:
        content: `off` keeps no prompts and no outputs, `prompts` keeps prompts, `all` both.
        limit: how much of one text is kept (characters).
        patterns: regular expressions of what is cut out, beside known secrets.

    Raises:
        InvalidSetting: one of the patterns is no regular expression.

    >>> careful = Discretion(patterns=["ACME-[0-9]+"])
    >>> careful.text("curl -H 'Authorization: Bearer abc.def' https://ann:pw@example.org/ACME-17")
    "curl -H 'Authorization: [redacted]' https://[redacted]@example.org/[redacted]"
    """

    def __init__(
        self, content: str = "off", limit: int = 1000, patterns: Iterable[str] = ()
    ) -> None:
        self.content = content
        self.limit = limit
        self._own = [_compiled(pattern) for pattern in patterns]

    @classmethod
    def of_settings(cls, content: str | None = None, redact: Iterable[str] = ()) -> Discretion:
        """What the environment says.

        Args:
            content: instead of `TIDINGS_AGENT_CONTENT`.
            redact: beside the patterns of `TIDINGS_AGENT_REDACT`.

        Raises:
            InvalidSetting: a setting or a pattern cannot be used.
        """
        return cls(
            settings.agent_content() if content is None else content,
            settings.agent_text_limit(),
            (*settings.agent_redact(), *redact),
        )

    @classmethod
    def of_programs(cls, limit: int) -> Discretion:
        """What is kept of what programs say: all of it, but for secrets.

        Args:
            limit: how much of one text is kept (characters).

        Raises:
            InvalidSetting: a pattern of `TIDINGS_AGENT_REDACT` cannot be used.
        """
        return cls("all", limit, settings.agent_redact())

    def at_most(self, content: str) -> Discretion:
        """The same, but keeping no more than this content.

        >>> Discretion("all").at_most("prompts").content, Discretion().at_most("all").content
        ('prompts', 'off')
        """
        less = Discretion(min(self.content, content, key=CONTENT.index), self.limit)
        less._own = self._own
        return less

    def keeps(self, content: str) -> bool:
        """Whether such content is kept: `prompts`, or `all`.

        >>> Discretion("prompts").keeps("prompts"), Discretion("prompts").keeps("all")
        (True, False)
        """
        return CONTENT.index(content) <= CONTENT.index(self.content)

    def text(self, text: str) -> str:
        """The text without what looks like a secret, and no longer than it may be.

        >>> Discretion(limit=8).text("export TOKEN=abc")
        'export T…'
        """
        is_whole = len(text) <= self.limit + _BEYOND
        seen = without_secrets(mended(text[: self.limit + _BEYOND]))
        for pattern in self._own:
            seen = pattern.sub(REDACTED, seen)
        if is_whole and len(seen) <= self.limit:
            return seen
        if not is_whole:
            seen = seen[:-_LONGEST_SECRET]
        return f"{seen[: self.limit]}…"

    def value(self, value: Any) -> Any:
        """The JSON value with each of its texts as `text` keeps it, and no larger than is useful.

        >>> Discretion().value({"api_key": "k-17", "size": [1, 2]})
        {'api_key': '[redacted]', 'size': [1, 2]}
        """
        return self._within(value, 0, [_MOST_CHARACTERS])

    def _within(self, value: Any, depth: int, room: list[int]) -> Any:
        """The value, if there is room for it left."""
        room[0] -= 8  # about what a number or the brackets of a list take
        if room[0] < 0 or depth > _DEEPEST:
            return "…"
        if isinstance(value, str):
            kept = self.text(value)
            room[0] -= len(kept)
            return kept
        if isinstance(value, list):
            return self._items(value[:_MOST_ITEMS], depth, room)
        if isinstance(value, dict):
            return self._members(list(value.items())[:_MOST_ITEMS], depth, room)
        return value

    def _items(self, items: list[Any], depth: int, room: list[int]) -> list[Any]:
        """The items of a list; in that of a command's words a secret stands after its option."""
        return [
            self._hidden(item, room)
            if index and is_flag_of_secret(items[index - 1])
            else self._within(item, depth + 1, room)
            for index, item in enumerate(items)
        ]

    def _members(
        self, members: list[tuple[str, Any]], depth: int, room: list[int]
    ) -> dict[str, Any]:
        """The members of an object, with as much of their names as is useful."""
        # Lists of settings have names and values side by side: {"name": …, "value": …}.
        named = any(
            key in ("name", "key") and isinstance(item, str) and is_name_of_secret(item)
            for key, item in members
        )
        kept = {}
        for key, item in members:
            hides = is_name_of_secret(key, item) or (named and key == "value")
            room[0] -= 8
            kept[self.text(key)[:_LONGEST_KEY]] = (
                self._hidden(item, room) if hides else self._within(item, depth + 1, room)
            )
        return kept

    def _hidden(self, value: Any, room: list[int]) -> Any:
        """What goes by the name of a secret, hidden; but truth values, and counts of something."""
        room[0] -= 8
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, list | dict) and all(isinstance(each, int | float) for each in inner):
            return self._within(value, _DEEPEST - 1, room)
        return value if value is None or isinstance(value, bool) else REDACTED


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidSetting(
            f"{shorten(pattern)} is no regular expression ({error}), so what it should cut out "
            f"would be kept; see TIDINGS_AGENT_REDACT"
        ) from None
