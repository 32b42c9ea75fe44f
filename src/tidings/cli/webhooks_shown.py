"""What `tidings webhooks` shows of a webhook and of an attempt, in words for a terminal."""

from __future__ import annotations

from tidings.cli.moments import ago, clock
from tidings.cli.show import Display, printable
from tidings.errors import InvalidQuery
from tidings.fields import encode_json
from tidings.store.wire import query_of
from tidings.store.words import words_of
from tidings.timestamps import parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["attempt_line", "line_of", "said"]

_ANSWER = 80
"""So much of an answer is shown in a line (characters); JSON has all that is kept."""


def said(value: Any) -> str:
    """A value in a line."""
    return printable(value if isinstance(value, str) else encode_json(value))


def _filters_in_words(filters: dict[str, Any]) -> str:
    try:
        return words_of(query_of(filters))
    except InvalidQuery:  # those of a newer server
        return encode_json(filters)


def line_of(webhook: dict[str, Any]) -> str:
    """A webhook in one line."""
    state = webhook["state"]
    words = [webhook["id"], f"{state} ({webhook['disabled']})" if webhook["disabled"] else state]
    words.append(printable(webhook["url"]))
    if webhook["filters"]:
        words.append(printable(_filters_in_words(webhook["filters"])))
    if webhook["lag"]:
        words.append(f"{webhook['lag']:,} behind")
    if webhook["waiting"]:
        words.append(f"{webhook['waiting']} waiting")
    if webhook["failing_since"]:
        words.append(f"failing since {ago(parse_instant(webhook['failing_since']))}")
    if webhook["dead_letters"]:
        words.append(f"{webhook['dead_letters']:,} given up")
    if webhook["description"]:
        words.append(printable(webhook["description"]))
    return "  ".join(words)


def attempt_line(display: Display, attempt: dict[str, Any]) -> str:
    """An attempt in one line."""
    at = parse_instant(attempt["at"])
    result = "ok" if attempt["ok"] else "failed"
    words = [
        display.painted(f"{clock(at)} {ago(at):>8}", "dim"),
        display.painted(result, "success" if attempt["ok"] else "failure"),
        str(attempt["status"] or "no answer"),
        f"{attempt['seconds'] * 1000:,.0f} ms",
    ]
    if "event_id" in attempt:
        words += [f"#{attempt['position']}", printable(attempt["type"]), attempt["trigger"]]
    if attempt["error"]:
        words.append(printable(attempt["error"]))
    if attempt["answer"]:
        words.append(printable(attempt["answer"][:_ANSWER]))
    return "  ".join(words)
