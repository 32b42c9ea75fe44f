"""What the routes that take events promise, as operations of the OpenAPI document."""

from __future__ import annotations

from tidings.server.ingest.formats import NDJSON_TYPES
from tidings.server.openapi import PLAIN, PROBLEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["EVENTS", "SCHEMAS", "TRACES", "emit"]

_TAG = "events"
_LARGEST = 2**63 - 1
_WORD = {"type": "string", "maxLength": 255, "pattern": PLAIN}
_NAME = {**_WORD, "minLength": 1}
_OBJECT = {"type": "object"}
_TIME = {"type": "string", "format": "date-time"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, **schema}


_EVENT: dict[str, Any] = {
    "title": "NewEvent",
    "description": "An event to keep. A time without offset is UTC",
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": _described("What happened, such as job_done", _NAME),
        "project": _described("What it belongs to", _or_null(_WORD)),
        "status": _described(
            "Its outcome: success, failure, or empty; inferred where it is left out",
            _or_null(_WORD),
        ),
        "payload": {"description": "Any JSON value, at most 1 MiB and 200 levels deep"},
        "source": _described("Where it comes from; `http` where left out", _or_null(_WORD)),
        "timestamp": {
            "description": "When it happened; now where left out",
            "anyOf": [_TIME, {"enum": ["", None]}],
        },
        "id": _described("Its id; made where left out", _or_null(_NAME)),
        "aggregate_type": _described("The kind of thing it is about", _or_null(_NAME)),
        "aggregate_id": _described("The thing; with its type, or neither", _or_null(_NAME)),
        "correlation_id": _described("The undertaking it belongs to", _or_null(_NAME)),
        "causation_id": _described("What caused it", _or_null(_NAME)),
        "user_id": _described("On whose behalf it happened", _or_null(_NAME)),
        "context": _described("Where it was made", _or_null(_OBJECT)),
        "extensions": _described("What else came with it", _or_null(_OBJECT)),
        **{
            name: {"description": "What a store said of it; taken no notice of"}
            for name in ("position", "version", "recorded_at", "redacted")
        },
    },
    "additionalProperties": False,
    "anyOf": [
        {
            "description": "About an aggregate",
            "properties": {"aggregate_type": _NAME, "aggregate_id": _NAME},
            "required": ["aggregate_type", "aggregate_id"],
        },
        {
            "description": "About none",
            "properties": {
                "aggregate_type": {"type": "null"},
                "aggregate_id": {"type": "null"},
            },
        },
    ],
}

_CLOUDEVENT: dict[str, Any] = {
    "title": "CloudEvent",
    "description": "An event in the JSON format of CloudEvents 1.0. Attributes that are no field "
    "of an event are kept as extensions",
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _NAME,
        "source": _NAME,
        "type": _NAME,
        "time": _or_null(_TIME),
        "subject": _described(
            "What it is about: aggregate_type/aggregate_id",
            _or_null({"type": "string", "minLength": 1}),
        ),
        "datacontenttype": _or_null({"type": "string", "minLength": 1}),
        "data": {"description": "Any JSON value"},
        **{name: _or_null(_NAME) for name in ("correlationid", "causationid", "userid")},
        **{name: _or_null(_WORD) for name in ("project", "status")},
    },
    "propertyNames": {"pattern": "^[a-z0-9]+$"},
    "additionalProperties": {"type": ["string", "integer", "boolean", "null"]},
    "anyOf": [
        {
            "description": "Data that is JSON",
            "properties": {"datacontenttype": {"enum": [None, "application/json"]}},
        },
        {
            "description": "Data that is text",
            "properties": {"data": {"type": ["string", "null"]}},
        },
    ],
}

_REQUEST: dict[str, Any] = {
    "title": "EventRequest",
    "description": "An event about an agent, a workflow or the system. Other fields are ignored",
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _described("What happened, such as agent.started", _NAME),
        "attributes": _described("What there is to say about it", _OBJECT),
        "timestamp": {
            "description": "When it happened: ISO 8601, in UTC where it has no offset, or seconds "
            "since 1970 (milliseconds beyond 20,000,000,000); now where it is left out",
            "type": ["string", "number", "null"],
            "format": "date-time",
            "minimum": -62_135_596_800_000,
            "maximum": 253_402_300_799_999,
        },
        "aggregate_id": _described("The agent, workflow or session", _or_null(_WORD)),
        "causation_id": _described("What caused it, such as the parent agent", _or_null(_WORD)),
        "correlation_id": _described("The workflow it belongs to", _or_null(_WORD)),
        "project": _described("What it belongs to", _or_null(_WORD)),
        "status": _described("Its outcome; inferred where it is left out", _or_null(_WORD)),
        "source": _described("Where it comes from; `http` where left out", _or_null(_WORD)),
        "user_id": _described("On whose behalf it happened", _or_null(_WORD)),
        "id": _described("Its id; made where it is left out", _or_null(_WORD)),
        "expected_version": {
            "description": "The version its aggregate must stand at, 0 for a new one",
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": _LARGEST,
        },
    },
}

SCHEMAS = {"NewEvent": _EVENT, "CloudEvent": _CLOUDEVENT, "EventRequest": _REQUEST}
"""What may be sent, by name."""

# Not declared as parameters, though they are: a document can say neither that a second body under
# the same key is refused, nor that an array may hold anything unless it is atomic, and tools that
# try what it declares would find fault with the right answer.
_IDEMPOTENCY_KEY = (
    "With the header `Idempotency-Key` (1 to 255 visible characters) a request may be sent again "
    "and repeats nothing; another body under the same key is refused with 422."
)
_QUERY = (
    "`?atomic=true` makes an array all or none. `?expected_version=N` does so too, and asks that "
    "the aggregate stands at that version, 0 for a new one; where it does not, 409 says both."
)


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _model(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _refusals(*statuses: str) -> dict[str, Any]:
    return dict.fromkeys(statuses, PROBLEM)


def emit(kind: str) -> dict[str, Any]:
    """The operation that takes an event about an agent, a workflow or the system."""
    return {
        "tags": [_TAG],
        "summary": f"Emit an event about {'the system' if kind == 'system' else f'a(n) {kind}'}",
        "operationId": f"emit_{kind}_event",
        "description": f"Answers as eventuali-api-server does. {_IDEMPOTENCY_KEY}",
        "requestBody": {"required": True, "content": _json(_model("EventRequest"))},
        "responses": {
            "200": {
                "description": "It is kept",
                "content": _json(_model("EventResponse")),
            },
            **_refusals("408", "409", "413", "415", "422"),
        },
    }


_BATCH = {"content": _json(_model("BatchResponse"))}

EVENTS: dict[str, Any] = {
    "tags": [_TAG],
    "summary": "Keep one event, or many",
    "description": "One event is answered with its place. Of an array, of NDJSON and of a batch of "
    "CloudEvents each event stands for itself and has a result of its own, in order: its place, or "
    "its problem. `atomic` and `expected_version` make an array all or none. CloudEvents come in "
    f"structured, batch or binary mode (headers `ce-…`). {_QUERY} {_IDEMPOTENCY_KEY}",
    "operationId": "keep_events",
    "requestBody": {
        "required": True,
        "content": {
            **_json({"oneOf": [_model("NewEvent"), {"type": "array", "items": {}}]}),
            **{
                media_type: {
                    "schema": {"type": "string", "description": "One event a line, as JSON"}
                }
                for media_type in NDJSON_TYPES
            },
            "application/cloudevents+json": {"schema": _model("CloudEvent")},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": {}}},
        },
    },
    "responses": {
        "201": {
            "description": "All is kept",
            "headers": {
                "Location": {
                    "description": "Where the event can be read, where there was one",
                    "schema": {"type": "string", "format": "uri-reference"},
                }
            },
            "content": _json({"anyOf": [_model("KeptEvent"), _model("BatchResponse")]}),
        },
        "207": {"description": "Some events were not kept; each has its result", **_BATCH},
        **_refusals("408", "409", "413", "415", "422"),
    },
}
"""The operation that takes one event, or many."""


_STATUS: dict[str, Any] = {
    "description": "What was wrong, as OTLP tells it; it is sent again after 429 and 503 only",
    "content": _json({"type": "object", "properties": {"message": {"type": "string"}}}),
}

_PROBLEM = {"application/problem+json": {"schema": _model("ProblemDetails")}}
_EITHER = {**_STATUS, "content": {**_STATUS["content"], **_PROBLEM}}
"""What is refused before the route is asked is told in the others' form."""


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": items}


def _message(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


TRACES: dict[str, Any] = {
    "tags": ["integrations"],
    "summary": "Keep the spans of OTLP traces as events",
    "description": "OTLP/HTTP with JSON, as it is or gzipped. Spans become started, and completed "
    "or failed, events. Of spans that are sent again nothing is repeated",
    "operationId": "keep_traces",
    "requestBody": {
        "required": True,
        "content": _json(
            _message(
                resourceSpans=_list_of(
                    _message(scopeSpans=_list_of(_message(spans=_list_of(_OBJECT))))
                )
            )
        ),
    },
    "responses": {
        "200": {
            "description": "The spans are kept; `partialSuccess` says how many were refused, and "
            "why",
            "content": _json(
                _message(
                    partialSuccess=_message(
                        rejectedSpans={"type": "string"}, errorMessage={"type": "string"}
                    )
                )
            ),
        },
        **dict.fromkeys(("400", "408", "413", "415"), _STATUS),
        **dict.fromkeys(("403", "503"), _EITHER),
    },
}
"""The operation that takes OTLP traces."""
