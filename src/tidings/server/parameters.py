"""The query parameters of `asking`, as the OpenAPI document describes them.

Only data; what a parameter means to a store is said in `tidings.store.query`. A test holds the
names against those `asking` takes.
"""

from __future__ import annotations

from tidings.server.asking import FILTERS
from tidings.store.standing import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FILTER_PARAMETERS", "MOST", "STANDING_PARAMETERS", "WINDOW_PARAMETERS", "parameter"]

MOST = 1000
"""The most of anything that one answer lists. Source: the `limit` of seed 002."""

_LARGEST = 2**63 - 1

_MOMENT = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "maxLength": 0}]}
"""Empty counts as not given."""

_TYPE = {"type": "string", "pattern": r"^[^*]*\*?$"}
_WORD = {"type": "string"}

_FILTERS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "id": ("Ids of events; any of them", _WORD, True),
    "type": ("Types of events, exact or such as `job.*`; any of them", _TYPE, True),
    "project": ("Projects; any of them", _WORD, True),
    "status": ("Outcomes: success, failure, or empty; any of them", _WORD, True),
    "source": ("Sources; any of them", _WORD, True),
    "event_type": (
        "As `type`; also AgentEvent, WorkflowEvent and SystemEvent for all about one of these",
        _TYPE,
        False,
    ),
    "aggregate_type": ("What kind of thing it is about: agent, or agent_aggregate", _WORD, False),
    "aggregate_id": ("The thing it is about", _WORD, False),
    "correlation_id": (
        "The undertaking it belongs to, such as a workflow; `workflow` is the same",
        _WORD,
        False,
    ),
    "causation_id": ("What caused it", _WORD, False),
    "user_id": ("On whose behalf it happened", _WORD, False),
    "contains": (
        "Text in its payload; looks at the newest events first, many at most",
        _WORD,
        False,
    ),
    "since": ("The earliest moment it happened; without offset it is UTC", _MOMENT, False),
    "until": ("The moment before which it happened", _MOMENT, False),
    "not.type": ("Types that are left out", _TYPE, True),
    "not.project": ("Projects that are left out", _WORD, True),
    "not.status": ("Outcomes that are left out", _WORD, True),
    "not.source": ("Sources that are left out", _WORD, True),
}

_WINDOW: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": ("At most so many", {"type": "integer", "minimum": 1, "maximum": MOST}),
    "after": (
        "Only what lies past this position",
        {"type": "integer", "minimum": 0, "maximum": _LARGEST},
    ),
    "before": (
        "Only what lies ahead of this position",
        {"type": "integer", "minimum": 0, "maximum": _LARGEST},
    ),
    "order": ("Oldest first, or newest first", {"type": "string", "enum": ["asc", "desc"]}),
}


def parameter(
    name: str, description: str, schema: dict[str, Any], *, several: bool = False
) -> dict[str, Any]:
    """A parameter object of the OpenAPI document, for the query of a URL.

    Args:
        name: its name.
        description: what it means.
        schema: of one value.
        several: whether it may be given more than once.
    """
    shape = {"type": "array", "items": schema} if several else schema
    return {"name": name, "in": "query", "description": description, "schema": shape}


FILTER_PARAMETERS = [
    parameter(name, _FILTERS[name][0], _FILTERS[name][1], several=_FILTERS[name][2])
    for name in FILTERS
    if name in _FILTERS
]
"""Which events; beside them `payload.KEY=text` and `payload.KEY:=JSON`, which have no schema, and
`workflow`, another name for `correlation_id` that would contradict it."""

WINDOW_PARAMETERS = [
    parameter(name, description, schema) for name, (description, schema) in _WINDOW.items()
]
"""Which part of them."""

STANDING_PARAMETERS = [
    parameter(
        "state",
        "How they stand: running, done, failed, or empty where their events do not say",
        {"type": "string", "enum": list(STATES)},
    ),
    parameter(
        "quiet_since",
        "Nothing happened to them since this moment, nor to what belongs to a workflow",
        _MOMENT,
    ),
]
"""How what is listed stands now, which no single event says."""
