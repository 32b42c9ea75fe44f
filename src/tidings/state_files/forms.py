"""The two forms of an event in state files: all that it has, or the six fields of scitex-events."""

from __future__ import annotations

from json import dumps
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tidings.event import Event

__all__ = ["FULL", "SIX_FIELDS", "Form", "six_fields"]


class Form(NamedTuple):
    """How an event is written.

    Attributes:
        line: as a line of the history, without its end.
        page: as a file of its own, without the last line's end.
        moment: what tells which of two events is the newer one, as RFC 3339 in UTC; else empty.
        moment_in: the same of an event that was written so.
    """

    line: Callable[[Event], str]
    page: Callable[[Event], str]
    moment: Callable[[Event], str]
    moment_in: Callable[[Mapping[str, Any] | None], str]


def six_fields(event: Event) -> dict[str, Any]:
    """What scitex-events says of an event, in its order.

    >>> from tidings.event import Event
    >>> list(six_fields(Event("job_done", "figrecipe")))
    ['type', 'project', 'status', 'payload', 'source', 'timestamp']
    """
    return {
        "type": event.type,
        "project": event.project,
        "status": event.status,
        "payload": event.payload,
        "source": event.source,
        "timestamp": event.timestamp,
    }


def _moment(value: object) -> str:
    # Our own form alone can be compared as text; scitex-events wrote local times without offset.
    return value if isinstance(value, str) and len(value) == 27 and value[26] == "Z" else ""


def _page(fields: dict[str, Any]) -> str:
    """As `json.dumps` with an indent of two, in half the time: an emit writes one such page."""
    lines = ",\n".join(f'  "{name}": {_indented(value)}' for name, value in fields.items())
    return f"{{\n{lines}\n}}"


def _indented(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    # No string in it has a line break: JSON escapes them.
    return dumps(value, indent=2).replace("\n", "\n  ") if value else dumps(value)


FULL = Form(
    lambda event: encode_json(event.to_dict()),
    lambda event: dumps(event.to_dict(), indent=2, ensure_ascii=False),
    lambda event: event.recorded_at or "",
    lambda there: _moment((there or {}).get("recorded_at")),
)
"""All fields, as `Event.to_dict` gives them."""

SIX_FIELDS = Form(
    lambda event: dumps(six_fields(event)),
    lambda event: _page(six_fields(event)),
    lambda event: _moment(event.timestamp),
    lambda there: _moment((there or {}).get("timestamp")),
)
"""The six fields, in the very form of scitex-events 0.1.7."""
