"""An event on the wire: the EventItem of eventuali-api-server, and our fields beside it.

Keeps the names and values that clients of that server know (`agent_aggregate`, `AgentEvent`,
`attributes`, `agent_name` …). The payload's JSON text is sent as it is kept, so encoding an event
decodes nothing but what the item repeats. Source: seed 002 and the models of version 0.2.2.
"""

from __future__ import annotations

from json import loads

from tidings.fields import encode_json
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CAUSATION_ID,
    CONTEXT,
    CORRELATION_ID,
    EXTENSIONS,
    INSTANT,
    PAYLOAD,
    POSITION,
    PROJECT,
    RECORDED,
    SOURCE,
    STATUS,
    TYPE,
    USER_ID,
    VERSION,
    WRITTEN,
)
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event

__all__ = [
    "NO_AGGREGATE",
    "WIRE_AGGREGATES",
    "WIRE_TYPES",
    "item",
    "item_json",
    "read_aggregate_type",
    "timestamp_of",
]

WIRE_AGGREGATES = {
    "agent": "agent_aggregate",
    "workflow": "workflow_aggregate",
    "system": "system_aggregate",
}
"""Our aggregate types, and what that server calls them."""

WIRE_TYPES = {"agent": "AgentEvent", "workflow": "WorkflowEvent", "system": "SystemEvent"}
"""What `event_type` says of events about these; of others it is the event's own type."""

NO_AGGREGATE = "event_aggregate"
"""The aggregate type, on the wire, of events about nothing."""

_DATE = len("2026-01-01")

_OURS = {wire: ours for ours, wire in WIRE_AGGREGATES.items()} | {NO_AGGREGATE: ""}


def read_aggregate_type(text: str) -> str:
    """Our aggregate type for one on the wire; the empty string for events about nothing.

    >>> read_aggregate_type("agent_aggregate"), read_aggregate_type("order")
    ('agent', 'order')
    """
    return _OURS.get(text, text)


def timestamp_of(event: Event) -> str:
    """When it happened, always with an offset: as written where that has one, else in UTC."""
    written = event.record[WRITTEN]
    # Of a date alone the hyphens are its own.
    has_time = written is not None and len(written) > _DATE
    if has_time and (written[-1] in "Zz" or written[-6] in "+-"):
        return str(written)
    return format_instant(event.record[INSTANT])


def item(event: Event) -> dict[str, Any]:
    """The item as a JSON object."""
    return loads(item_json(event))  # type: ignore[no-any-return]  # an object, as built below


def item_json(event: Event) -> bytes:
    """The item as one line of JSON.

    Raises:
        StoreDamaged: what the store gave is not what it was given.

    >>> from tidings.event import Event
    >>> text = item_json(Event("agent.started", aggregate_type="agent", aggregate_id="a1"))
    >>> item = loads(text)
    >>> item["event_type"], item["aggregate_type"], item["event_name"], item["agent_id"]
    ('AgentEvent', 'agent_aggregate', 'agent.started', 'a1')
    """
    event.verify()
    record = event.record
    kind = record[AGGREGATE_TYPE]
    text = record[PAYLOAD]
    event_id = encode_json(event.id)
    event_type = encode_json(record[TYPE])
    wire_type = f'"{WIRE_TYPES[kind]}"' if kind in WIRE_TYPES else event_type
    about = '""' if kind is None else encode_json(record[AGGREGATE_ID])
    recorded = record[RECORDED]
    parts = [
        f'{{"event_id":{event_id},"aggregate_id":{about},"aggregate_type":{_wire_kind(kind)}',
        f'"event_type":{wire_type},"event_name":{event_type}',
        f'"timestamp":{encode_json(timestamp_of(event))}',
        f'"attributes":{text if text is not None and text[0] == "{" else "{}"}',
        f'"correlation_id":{_or_null(record[CORRELATION_ID])}',
        f'"causation_id":{_or_null(record[CAUSATION_ID])}',
        _names_of_agents(kind, record, about),
        f'"id":{event_id},"type":{event_type},"project":{encode_json(record[PROJECT])}',
        f'"status":"{record[STATUS]}"' if record[STATUS] in _PLAIN else
        f'"status":{encode_json(record[STATUS])}',
        f'"payload":{"null" if text is None else text},"source":{encode_json(record[SOURCE])}',
        f'"version":{_number(record[VERSION])},"user_id":{_or_null(record[USER_ID])}',
        f'"context":{record[CONTEXT] or "{}"},"extensions":{record[EXTENSIONS] or "{}"}',
        f'"position":{_number(record[POSITION])}',
        '"recorded_at":null' if recorded is None else f'"recorded_at":"{format_instant(recorded)}"',
        f'"redacted":{"true" if text is None else "false"}}}',
    ]  # fmt: skip
    return ",".join(parts).encode()


_PLAIN = ("", "success", "failure")


def _wire_kind(kind: str | None) -> str:
    if kind is None:
        return f'"{NO_AGGREGATE}"'
    return encode_json(WIRE_AGGREGATES.get(kind, kind))


def _names_of_agents(kind: str | None, record: tuple[Any, ...], about: str) -> str:
    """The fields that the peer has for agents, workflows and sessions alone; null for others."""
    agent_name = agent_id = parent = workflow = prompt = session = "null"
    if kind == "agent":
        agent_name, agent_id = _said(record, "agent_name"), about
        parent, workflow = _or_null(record[CAUSATION_ID]), _or_null(record[CORRELATION_ID])
    elif kind == "workflow":
        workflow, prompt = about, _said(record, "user_prompt")
    elif kind == "system":
        session = about
    return (
        f'"agent_name":{agent_name},"agent_id":{agent_id},"parent_agent_id":{parent},'
        f'"workflow_id":{workflow},"user_prompt":{prompt},"session_id":{session}'
    )


def _said(record: tuple[Any, ...], key: str) -> str:
    """A string in the payload, as JSON; null where there is none."""
    text = record[PAYLOAD]
    if text is None or text[0] != "{" or f'"{key}"' not in text:
        return "null"
    value = loads(text).get(key)
    return encode_json(value) if isinstance(value, str) else "null"


def _or_null(text: str | None) -> str:
    return "null" if text is None else encode_json(text)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)
