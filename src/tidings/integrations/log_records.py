"""What an event says of a log record: its message and extras, its place, and what was raised.

Bounded, and always JSON: what is no JSON value is told as Python shows it. It keeps nothing;
`log_handler` does.
"""

from __future__ import annotations

import logging
import traceback
from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["payload_of", "type_of"]

LONGEST_TEXT = 8_000
"""The longest a message, a traceback or another text may be (characters)."""

_MOST_ITEMS = 100
_DEEPEST = 4
_TYPES = (
    (logging.CRITICAL, "log.critical"),
    (logging.ERROR, "log.error"),
    (logging.WARNING, "log.warning"),
    (logging.INFO, "log.info"),
)
_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
"""What every record has; the rest was given as `extra`."""


def type_of(level: int) -> str:
    """The type of the events of a level; one between two counts as the lower.

    >>> type_of(logging.ERROR), type_of(35), type_of(5)
    ('log.error', 'log.warning', 'log.debug')
    """
    return next((name for least, name in _TYPES if level >= least), "log.debug")


def payload_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the event says.

    Raises:
        TypeError, ValueError: the record's arguments do not fit its message.
    """
    payload: dict[str, Any] = {
        "message": _text(record.getMessage()),
        "logger": _text(record.name),
        "level": _text(record.levelname),
        "where": {
            "file": _text(record.pathname),
            "line": record.lineno,
            "function": _text(record.funcName or ""),
        },
        "thread": _text(record.threadName or ""),
    }
    if record.exc_info and record.exc_info[1] is not None:
        payload["exception"] = _exception(record.exc_info[1])
    if record.stack_info:
        payload["stack"] = _text(record.stack_info)
    extra = {name: value for name, value in vars(record).items() if name not in _OWN}
    if extra:
        payload["extra"] = _plain(extra, 0)
    return payload


def _exception(error: BaseException) -> dict[str, str]:
    """What was raised; of a long traceback the end, where it was raised."""
    lines = "".join(traceback.format_exception(error))
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": _text(_shown(error, str)),
        "traceback": _text(lines[-LONGEST_TEXT:]),
    }


def _plain(value: Any, depth: int) -> Any:
    """The value, if it is JSON's; else as Python shows it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict) and depth < _DEEPEST:
        some = list(value.items())[:_MOST_ITEMS]
        return {_text(_shown(name, str)): _plain(item, depth + 1) for name, item in some}
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [_plain(item, depth + 1) for item in value[:_MOST_ITEMS]]
    return _text(_shown(value, repr))


def _shown(value: object, show: type[str] | Any) -> str:
    try:
        return str(show(value))
    except Exception as error:  # noqa: BLE001 - an object that cannot be shown must not lose a record
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _text(text: str) -> str:
    """The text, not too long; what UTF-8 cannot hold, as of file names, is spelled out."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}…"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
