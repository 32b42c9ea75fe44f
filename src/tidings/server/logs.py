"""How a server logs: lines of text, or JSON on request, on the standard error.

Every line about a request names the request's id, which the client got in its answer. A path is
logged, a query string never: it may hold what nobody should read later. Keys stand in headers only,
and headers are never logged. An access line for each request is off unless asked for, since it
costs a request as much as answering it (about 30 µs).
"""

from __future__ import annotations

import json
import logging
from time import perf_counter

from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["AccessLine", "JsonLines", "TextLines", "log_config", "standard_error"]

_ACCESS = "uvicorn.access"
_FIELDS = ("request_id", "method", "path", "status", "client", "milliseconds")
"""What a line about a request may say beside its message, in this order."""


def log_config(level: str, style: str) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig`, which uvicorn applies in each process.

    Args:
        level: debug, info, warning, error or critical.
        style: text or json.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": "tidings.server.logs.TextLines"},
            "json": {"()": "tidings.server.logs.JsonLines"},
        },
        "handlers": {
            "standard-error": {
                "()": "tidings.server.logs.standard_error",
                "formatter": style,
            }
        },
        "root": {"handlers": ["standard-error"], "level": "WARNING"},
        "loggers": {
            "tidings": {"level": level.upper()},
            "uvicorn": {"level": level.upper()},
            # A handler of its own, because uvicorn writes access lines only where there is one.
            _ACCESS: {"handlers": ["standard-error"], "level": "INFO", "propagate": False},
        },
    }


def standard_error() -> logging.Handler:
    """The handler of all lines; warnings of Python (a payload that does not fit) are such too."""
    logging.captureWarnings(True)
    return logging.StreamHandler()


class TextLines(logging.Formatter):
    """Lines for people: time, level, logger, message, request id."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it where there is one."""
        text = super().format(record)
        request_id = getattr(record, "request_id", "")
        named = f" [{request_id}]" if request_id else ""
        first, line_break, rest = text.partition("\n")
        head = f"{_time(record)} {record.levelname.lower()} {_name(record)}: {_one_line(first)}"
        return f"{head}{named}{line_break}{rest}"


class JsonLines(logging.Formatter):
    """One JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": _name(record),
            "message": record.getMessage(),
            "process": record.process,
        }
        said |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said)


class AccessLine:
    """Stands in uvicorn's place for the logger of one request's access line.

    uvicorn's own line has the query string in it, and no request id.

    Args:
        scope: the request's.
    """

    __slots__ = ("_scope", "_started")

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self._started = perf_counter()

    def info(self, _line: str, *said: Any) -> None:
        """Log the request; uvicorn calls it when the answer begins, with the status last."""
        scope = self._scope
        took = (perf_counter() - self._started) * 1000
        client = scope["client"][0] if scope.get("client") else ""
        facts = {
            "request_id": scope.get("tidings.request_id", ""),
            "method": scope["method"],
            "path": scope["path"],
            "status": said[-1],
            "client": client,
            "milliseconds": round(took, 3),
        }
        line = f"{facts['method']} {facts['path']!r} {facts['status']} {took:.1f} ms {client}"
        logging.getLogger(_ACCESS).info(line, extra=facts)


def _time(record: logging.LogRecord) -> str:
    return format_instant(int(record.created * 1_000_000))


def _name(record: logging.LogRecord) -> str:
    """The logger's name; uvicorn's `uvicorn.error` is its usual one, not that of errors."""
    return "uvicorn" if record.name == "uvicorn.error" else record.name


def _one_line(text: str) -> str:
    """The text with what a terminal or a log's reader might obey spelled out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
