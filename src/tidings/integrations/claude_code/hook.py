"""The JSON that Claude Code gives a hook, read.

Keeps promise 5: what is no hook is refused with what is wrong; nothing is guessed. Fields that are
not known are left as they are, since each version has more of them.
"""

from __future__ import annotations

from json import JSONDecoder

from tidings.errors import InvalidEvent
from tidings.fields import encode_json
from tidings.fields import name as checked_name
from tidings.ids import derived

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["NAMESPACE", "Hook", "hooks_in"]

NAMESPACE = "claude-code"
"""What begins every id that is derived here, and the source of the events."""

LONGEST_SESSION = 128
"""The longest id of a session (characters): ids of what belongs to it are made of it."""

_MOST_NAME = 100


class Hook:
    """What one hook was told.

    Args:
        data: the JSON object.

    Attributes:
        data: as given.
        event: which hook it is, such as `PreToolUse`.
        session: the session's id.

    Raises:
        InvalidEvent: it is no object, or does not say which hook of which session it is.

    >>> hook = Hook({"session_id": "s-1", "hook_event_name": "Stop", "agent_id": "a-7"})
    >>> hook.event, hook.session, hook.name("agent_id"), hook.name("prompt_id")
    ('Stop', 's-1', 'a-7', None)
    """

    __slots__ = ("data", "event", "session")

    def __init__(self, data: object) -> None:
        if not isinstance(data, dict):
            # What it holds instead is not shown: it may be anything, and errors are written down.
            kind = type(data).__name__
            raise InvalidEvent("body", kind, "must be the JSON object that a hook is given")
        self.data: dict[str, Any] = data
        self.event = _event_name(data.get("hook_event_name"))
        self.session = checked_name("session_id", data.get("session_id"))
        if len(self.session) > LONGEST_SESSION:
            rule = f"must be at most {LONGEST_SESSION} characters long"
            raise InvalidEvent("session_id", self.session, rule)

    def name(self, field: str) -> str | None:
        """The value of a field, if it is there and can be the id or the name of something."""
        value = self.data.get(field)
        try:
            return checked_name(field, value) if value else None
        except InvalidEvent:
            return None

    def inner(self, field: str) -> dict[str, Any]:
        """The value of a field that is an object; else an empty one."""
        value = self.data.get(field)
        return value if isinstance(value, dict) else {}

    def id_of(self, *what: str) -> str:
        """The id of what belongs to this session, the same whoever derives it."""
        return derived(NAMESPACE, self.session, *what)

    def digest(self) -> str:
        """What tells this hook from one that was told anything else.

        Raises:
            InvalidEvent: it is nested too deeply.
        """
        try:
            # JSON can hold lone surrogates, and ids are made of UTF-8.
            text = encode_json(self.data).encode("utf-8", "backslashreplace").decode()
        except (ValueError, RecursionError):
            raise InvalidEvent("body", self.event, "must be JSON that is not so deep") from None
        return derived(NAMESPACE, text)


def hooks_in(body: bytes) -> list[Any]:
    r"""The JSON values in a text: one, an array of them, or one a line.

    Raises:
        InvalidEvent: it is no JSON.

    >>> hooks_in(b'{"n": 1}\n{"n": 2}\n'), hooks_in(b'[{"n": 3}]')
    ([{'n': 1}, {'n': 2}], [{'n': 3}])
    """
    values: list[Any] = []
    try:
        text = body.decode("utf-8-sig")
        at, end = _space(text, 0), len(text)
        while at < end:
            value, at = _decoder.raw_decode(text, at)
            values += value if isinstance(value, list) else [value]
            at = _space(text, at)
    except (ValueError, RecursionError) as error:
        size = f"{len(body):,} bytes"
        raise InvalidEvent("body", size, f"must be JSON: {_reason(error)}") from None
    return values


def _reason(error: ValueError | RecursionError) -> str:
    """What is wrong with a text, without any of it."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return str(error)


def _space(text: str, at: int) -> int:
    """Where the next value begins."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"JSON has no {text}")


_decoder = JSONDecoder(parse_constant=_no_number)


def _event_name(value: object) -> str:
    if (
        not isinstance(value, str)
        or len(value) > _MOST_NAME
        or not (value.isascii() and value.isidentifier())
    ):
        raise InvalidEvent("hook_event_name", value, "must name a hook, such as PreToolUse")
    return value
