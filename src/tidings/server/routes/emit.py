"""POST /events/emit/agent, /workflow and /system, as eventuali-api-server 0.2.2 has them.

Requests and answers keep that server's names, defaults and wording, with our fields beside them;
what it ignores is ignored here. Checked by hand: every event of an agent comes this way, and
pydantic takes longer than that. Keeps promise 5: errors name the field by the name it has here.
"""

from __future__ import annotations

from functools import partial
from json.encoder import encode_basestring as quoted
from typing import NamedTuple
from uuid import uuid4

from tidings.errors import InvalidEvent, TidingsError
from tidings.event import Event
from tidings.event_item import timestamp_of
from tidings.outcome import infer_status
from tidings.record import VERSION
from tidings.server.calls import BareRoute
from tidings.server.ingest import operations
from tidings.server.ingest.formats import format_of
from tidings.server.ingest.idempotency import Idempotency
from tidings.server.ingest.intake import count_refusal, keep_whole
from tidings.server.ingest.moments import moment_of, moment_of_number
from tidings.server.ingest.new_event import DIGEST, SOURCE, at_moment
from tidings.server.ingest.sizes import longest_body
from tidings.server.ingest.strict_json import read_json
from tidings.server.problems import unprocessable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.server.calls import Call

__all__ = ["BARE"]

_NAMES = {"type": "name", "payload": "attributes"}
"""What these routes call a field of an event."""

_MOST_VERSION = 2**63


class _Kind(NamedTuple):
    """What an event of one of the routes is about.

    `name` begins the answer's message; `aggregate_id` is the aggregate where the request names
    none, and empty where a new one is made.
    """

    name: str
    aggregate_type: str
    aggregate_id: str


_AGENT = _Kind("Agent", "agent", "")
_WORKFLOW = _Kind("Workflow", "workflow", "")
_SYSTEM = _Kind("System", "system", "system")


async def _emit(kind: _Kind, call: Call) -> None:
    """Answer one of the routes."""
    try:
        format_of(call, only_json=True)
        _ensure_nothing_lost(call)
        max_payload = call.service.max_payload
        body = await call.body(longest_body(max_payload))
        idempotency = Idempotency.of(call, body)
        request = read_json(body)
        event = _event_of(request, kind, max_payload, idempotency)
        if call.caller.projects is not None:
            call.caller.require_project(event.project)
        expected_version = _expected_version(request)
        (kept,) = await keep_whole(call, [event], expected_version, idempotency)
    except InvalidEvent as error:
        count_refusal(call.service.metrics, error)
        raise _renamed(error) from None
    except TidingsError as error:
        count_refusal(call.service.metrics, error)
        raise
    await call.answer(200, _answer(kind, kept))


def _ensure_nothing_lost(call: Call) -> None:
    """Refuse what `POST /events/` takes in its query; passed over, it would protect nothing."""
    if not call.scope["query_string"]:
        return
    for name, text in call.params:
        if name in ("expected_version", "atomic"):
            raise unprocessable(name, text, "is a field of the request here, not of its URL")


def _event_of(
    request: object, kind: _Kind, max_payload: int, idempotency: Idempotency | None
) -> Event:
    if not isinstance(request, dict):
        raise InvalidEvent("body", request, "must be an object with at least a name")
    if request.get("name") is None:
        raise InvalidEvent("name", None, "must be given")
    name, attributes = request["name"], request.get("attributes", {})
    if not isinstance(attributes, dict):
        raise InvalidEvent("attributes", attributes, "must be an object")
    event_id = _given(request, "id")
    aggregate_id = _given(request, "aggregate_id")
    extensions = None
    if idempotency is not None and event_id is None:
        event_id, extensions = idempotency.event_id(0), {DIGEST: idempotency.digest}
    if aggregate_id is None:
        aggregate_id = kind.aggregate_id or _new_aggregate(idempotency)
    correlation_id = _given(request, "correlation_id")
    if correlation_id is None and kind is _WORKFLOW:
        correlation_id = aggregate_id
    project, status, source = request.get("project"), request.get("status"), request.get("source")
    event = Event(
        name,
        "" if project is None else project,
        infer_status(name, attributes) if status is None else status,
        attributes,
        SOURCE if source is None else source,
        id=event_id,
        aggregate_type=kind.aggregate_type,
        aggregate_id=aggregate_id,
        correlation_id=correlation_id,
        causation_id=_given(request, "causation_id"),
        user_id=_given(request, "user_id"),
        extensions=extensions,
        max_payload=max_payload,
    )
    timestamp = request.get("timestamp")
    return event if timestamp is None else at_moment(event, *_moment(timestamp))


def _new_aggregate(idempotency: Idempotency | None) -> str:
    """The id of an agent or a workflow that the request does not name."""
    return str(uuid4()) if idempotency is None else idempotency.aggregate_id()


def _given(request: dict[str, Any], field: str) -> Any:
    """A field that names something; an empty text is nothing, as the peer has it."""
    value = request.get(field)
    return None if value == "" else value


def _moment(timestamp: object) -> tuple[int, str | None]:
    """As the peer reads it: a text, or a number."""
    if isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
        return moment_of_number(timestamp)
    return moment_of(timestamp)


def _expected_version(request: dict[str, Any]) -> int | None:
    version = request.get("expected_version")
    if version is None:
        return None
    if isinstance(version, float) and version.is_integer():
        version = int(version)  # JSON knows one kind of number; 3.0 is whole.
    if type(version) is not int or not 0 <= version < _MOST_VERSION:
        raise InvalidEvent("expected_version", version, "must be a whole number from 0 on")
    return version


def _answer(kind: _Kind, event: Event) -> bytes:
    message = quoted(f"{kind.name} event '{event.type}' emitted successfully")
    return (
        f'{{"success":true,"event_id":{quoted(event.id)},"message":{message},'
        f'"timestamp":{quoted(timestamp_of(event))},"position":{event.position},'
        f'"version":{event.record[VERSION]}}}'
    ).encode()


def _renamed(error: InvalidEvent) -> InvalidEvent:
    """The error with the field's name on these routes."""
    return error.about(_NAMES.get(error.field, error.field))


BARE = tuple(
    BareRoute(
        "POST",
        f"/events/emit/{kind.aggregate_type}",
        "emit",
        partial(_emit, kind),
        operations.emit(kind.aggregate_type),
    )
    for kind in (_AGENT, _WORKFLOW, _SYSTEM)
)
