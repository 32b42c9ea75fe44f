"""`GET /events/stream` as the OpenAPI document describes it."""

from __future__ import annotations

from tidings.server.live.frames import NAMINGS
from tidings.server.openapi import PROBLEM
from tidings.server.parameters import FILTER_PARAMETERS, parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["OPERATION"]

_POSITION = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}

_DESCRIPTION = """\
Each event comes as one JSON object, the same as in `GET /events/`; its `id` is its position. After
a lost connection the stream goes on from `Last-Event-ID`, and nothing is missed or repeated.
Without a position only new events come; `after=0` gives all that is kept. Types `tidings.*` come
only when asked for. An event `gap` (`reason`, `asked`, `first`) says that events before `first` are
gone. A frame that has only an `id` tells where the stream stands. `payload.KEY=text` and
`payload.KEY:=JSON` filter by the payload."""

_UNTIL = parameter(
    "until",
    "The moment before which it happened; or `head`: the stream ends at the newest event",
    {"anyOf": [{"type": "string", "format": "date-time"}, {"const": "head"}]},
)
_CONTAINS = parameter("contains", "Text in its payload", {"type": "string"})
_FILTERS = [
    {"until": _UNTIL, "contains": _CONTAINS}.get(each["name"], each) for each in FILTER_PARAMETERS
]

# Of one event of the stream: OpenAPI 3.1 has no word for a stream of them.
_FRAME = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Its position; empty after a gap"},
        "event": {"type": "string"},
        "data": {"type": "string", "description": "An EventItem as JSON"},
        "retry": {"type": "integer", "description": "When to come back (milliseconds)"},
    },
}

OPERATION: dict[str, Any] = {
    "tags": ["events"],
    "operationId": "stream_events",
    "summary": "Follow events live, as Server-Sent Events",
    "description": _DESCRIPTION,
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The position to go on from; counts before the parameters",
            "schema": {"anyOf": [_POSITION, {"type": "string", "maxLength": 0}]},
        },
        parameter("last_event_id", "The same, for clients that cannot set headers", _POSITION),
        parameter("after", "The same", _POSITION),
        parameter("before", "The stream ends ahead of this position", _POSITION),
        parameter("limit", "So many events, then the stream ends", _POSITION),
        parameter("order", "Oldest first; there is no other", {"type": "string", "const": "asc"}),
        parameter(
            "event",
            "What the `event` field says: `event`, the event's type, or nothing",
            {"type": "string", "enum": list(NAMINGS), "default": NAMINGS[0]},
        ),
        *_FILTERS,
    ],
    "responses": {
        "200": {
            "description": "The stream; it goes on until one side ends it",
            "content": {
                "text/event-stream": {
                    "schema": _FRAME,
                    "example": 'id: 17\nevent: event\ndata: {"event_id": "…", "position": 17}\n\n',
                }
            },
        },
        "204": {"description": "With `until=head`, for who comes back and has seen all"},
        "422": PROBLEM,
    },
}
"""The operation object."""
