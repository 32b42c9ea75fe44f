"""What an event says of a log record: its message and extras, its place, and what was raised.

Bounded, and always JSON: what is no JSON value is told as Python shows it. What looks like a secret
is cut out, unless all is asked for. It keeps nothing; `log_handler` does.
"""

from __future__ import annotations

import logging
import traceback
from math import isfinite

from tidings.integrations.discretion import Discretion
from tidings.integrations.secrets_in_text import REDACTED, is_name_of_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Telling", "type_of"]

LONGEST_TEXT = 8_000
"""The longest a message, a traceback or another text may be (characters)."""

_LOOKED_AT = 2 * LONGEST_TEXT
"""Of a longer text so much is looked at: what is cut may be the end of a secret (characters)."""

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


class Telling:
    """Tells of records.

    Args:
        redact: whether what looks like a secret becomes `[redacted]`.

    Raises:
        InvalidSetting: a pattern of `TIDINGS_AGENT_REDACT` cannot be used.
    """

    def __init__(self, *, redact: bool) -> None:
        self._discretion = Discretion.of_programs(4 * _LOOKED_AT) if redact else None

    def payload_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """What the event says.

        Raises:
            TypeError, ValueError: the record's arguments do not fit its message.
        """
        payload: dict[str, Any] = {
            "message": self._text(record.getMessage()),
            "logger": _bounded(record.name),
            "level": _bounded(record.levelname),
            "where": {
                "file": _bounded(record.pathname),
                "line": record.lineno,
                "function": _bounded(record.funcName or ""),
            },
            "thread": _bounded(record.threadName or ""),
        }
        if record.exc_info and record.exc_info[1] is not None:
            payload["exception"] = self._exception(record.exc_info[1])
        if record.stack_info:
            payload["stack"] = self._text(record.stack_info)
        extra = {name: value for name, value in vars(record).items() if name not in _OWN}
        if extra:
            payload["extra"] = self._plain(extra, 0)
        return payload

    def _exception(self, error: BaseException) -> dict[str, str]:
        """What was raised; of a long traceback the end, where it was raised."""
        lines = "".join(traceback.format_exception(error))
        return {
            "type": f"{type(error).__module__}.{type(error).__qualname__}",
            "message": self._text(_shown(error, str)),
            "traceback": _bounded(self._without_secrets(lines[-_LOOKED_AT:])[-LONGEST_TEXT:]),
        }

    def _plain(self, value: Any, depth: int) -> Any:
        """The value, if it is JSON's; else as Python shows it."""
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict) and depth < _DEEPEST:
            some = list(value.items())[:_MOST_ITEMS]
            return dict(self._member(_shown(name, str), item, depth) for name, item in some)
        if isinstance(value, list | tuple) and depth < _DEEPEST:
            match value:
                case [str(name), item]:  # such as a header
                    return list(self._member(name, item, depth))
            return [self._plain(item, depth + 1) for item in value[:_MOST_ITEMS]]
        return self._text(_shown(value, repr))

    def _member(self, name: str, value: Any, depth: int) -> tuple[str, Any]:
        """A name, and its value unless that is a secret by its name; truth values are none."""
        hides = (
            self._discretion is not None
            and not (value is None or isinstance(value, bool))
            and is_name_of_secret(name, value)
        )
        return self._text(name), REDACTED if hides else self._plain(value, depth + 1)

    def _text(self, text: str) -> str:
        return _bounded(self._without_secrets(text[:_LOOKED_AT]))

    def _without_secrets(self, text: str) -> str:
        return text if self._discretion is None else self._discretion.text(_spelled(text))


def _shown(value: object, show: type[str] | Any) -> str:
    try:
        return str(show(value))
    except Exception as error:  # noqa: BLE001 - an object that cannot be shown must not lose a record
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _bounded(text: str) -> str:
    """The text, not too long."""
    return _spelled(f"{text[:LONGEST_TEXT]}…" if len(text) > LONGEST_TEXT else text)


def _spelled(text: str) -> str:
    """The text; what UTF-8 cannot hold, as of file names, is spelled out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
