"""The resources: what can be read by an address.

    tidings://events/recent     the newest events, newest first
    tidings://events/{id}       one event
    tidings://workflows/{id}    one workflow: its tree, states and timings
    tidings://types             the event types
    tidings://health            whether the store answers

Under the drop-in `eventuali://recent-events`, `eventuali://event-stream` and `eventuali://health`
beside them, as text. Each answer is bounded in size, and says where a payload was cut. Keeps
promise 5: a store that is away is an error that says so, never an empty list. Who is told of
changes is `changes`' and `listening`'s work.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Resource, ResourceTemplate

from tidings.bus import followed
from tidings.errors import TidingsError, shorten
from tidings.event_item import timestamp_of
from tidings.fields import encode_json
from tidings.mcp_server.addresses import (
    EVENT,
    HEALTH,
    PEER,
    RECENT,
    TYPES,
    WORKFLOW,
    Place,
    is_plain,
    place_of,
)
from tidings.mcp_server.shapes import EventShape
from tidings.mcp_server.telling import told
from tidings.store.query import Query
from tidings.timestamps import format_instant, now_instant
from tidings.workflows import workflow_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.mcpserver import Context

    from tidings.aio import AsyncBus
    from tidings.event import Event
    from tidings.mcp_server.access import Access
    from tidings.mcp_server.making import Ground

__all__ = ["Resources"]

_JSON = "application/json"

_MOST_RECENT = 50
"""So many newest events are shown. Source: `recent-events` of eventuali-mcp-server."""

_PAYLOAD = 2000
"""So many characters of each of their payloads."""

_WHOLE_PAYLOAD = 4 * 1024 * 1024
_MOST_NODES = 500
_MOST_TYPES = 1000

_PATIENCE = 2.0
"""A store that says nothing for so long does not answer (seconds)."""

_ID_SHOWN = 8

_FIXED = (
    ("events/recent", "recent-events", "Recent events",
     f"The newest events, newest first, {_MOST_RECENT} at most."),
    ("types", "types", "Event types",
     "The event types that are registered or occur: descriptions and payload keys."),
    ("health", "health", "Health", "Whether the store answers."),
)  # fmt: skip
_TEMPLATES = (
    ("events/{id}", "event", "One event", "An event with all its fields, by its id."),
    ("workflows/{id}", "workflow", "One workflow",
     "Who started whom in a workflow, how each stands, and how long it took."),
)  # fmt: skip
_PLAIN = (
    ("recent-events", "get_recent_events", "The newest events, one line each."),
    ("event-stream", "get_event_stream", "The newest events; subscribe to be told of new ones."),
    ("health", "get_health", "Whether the events' store answers."),
)


class Resources:
    """The resources of one server.

    Args:
        ground: what they stand on.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def fixed(self) -> list[Resource]:
        """The resources that have one address, those of the peer first."""
        plain = [
            Resource(uri=f"{PEER}://{path}", name=name, description=says, mime_type="text/plain")
            for path, name, says in _PLAIN
            if PEER in self._ground.schemes
        ]
        ours = [
            Resource(
                uri=f"tidings://{path}", name=name, title=title, description=says, mime_type=_JSON
            )
            for path, name, title, says in _FIXED
        ]
        return [*plain, *ours]

    def templates(self) -> list[ResourceTemplate]:
        """The resources whose address holds an id, which is percent-encoded there."""
        return [
            ResourceTemplate(
                uri_template=f"tidings://{path}",
                name=name,
                title=title,
                description=says,
                mime_type=_JSON,
            )
            for path, name, title, says in _TEMPLATES
        ]

    async def read(self, address: str, context: Context[Any, Any] | None) -> ReadResourceContents:
        """What a resource holds now.

        Args:
            address: its address.
            context: of the call; none for a call from this process.

        Raises:
            ResourceNotFoundError: there is none, or not any more.
            ResourceError: it cannot be read; the text says why and what to do.
        """
        place = place_of(address, self._ground.schemes)
        if place is None:
            raise ResourceNotFoundError(
                f"there is no resource {shorten(address)}; resources/list and "
                "resources/templates/list say what there is, and ids are percent-encoded"
            )
        try:
            access = self._access(context)
            if place.kind == HEALTH:
                return _said(await self._health(), address, _health_text)
            access.require("read")
            bus = self._ground.bus()
            if place.kind == RECENT and is_plain(address):
                lines = await asyncio.to_thread(_recent_text, bus, access)
                return ReadResourceContents(lines, "text/plain")
            content = await asyncio.to_thread(_READERS[place.kind], bus, access, place)
        except TidingsError as error:
            raise ResourceError(self._told(error)) from error
        if content is None:
            raise ResourceNotFoundError(f"there is no {place.kind} {shorten(place.id)}")
        return ReadResourceContents(content, _JSON)

    def _access(self, context: Context[Any, Any] | None) -> Access:
        return self._ground.door.access(None) if context is None else self._ground.access(context)

    def _told(self, error: TidingsError) -> str:
        return told(error, near=self._ground.door.keeps_sessions)

    async def _health(self) -> dict[str, Any]:
        """Whether the store answers, and if not, why."""
        why = ""
        try:
            bus = self._ground.bus()
            # Not `head`: a replica gives that also when it is cut off from its log.
            asked = asyncio.to_thread(bus.store.catch_up)
            await asyncio.wait_for(asked, _PATIENCE)
        except TidingsError as error:
            why = self._told(error)
        except TimeoutError:
            why = f"the store did not answer within {_PATIENCE:g} seconds"
        return {
            "status": "unhealthy" if why else "healthy",
            "api_connected": True,
            "database_connected": not why,
            "detail": why,
            "timestamp": format_instant(now_instant()),
        }


def _said(
    content: dict[str, Any], address: str, as_text: Callable[[dict[str, Any]], str]
) -> ReadResourceContents:
    if is_plain(address):
        return ReadResourceContents(as_text(content), "text/plain")
    return ReadResourceContents(encode_json(content), _JSON)


def _health_text(health: dict[str, Any]) -> str:
    well = health["database_connected"]
    return "\n".join((
        f"{'✅' if well else '❌'} API Status: {health['status']}",
        f"Connected: {well}",
        f"Checked: {health['timestamp']}",
        *([] if well else [health["detail"]]),
    ))  # fmt: skip


# What blocks -----------------------------------------------------------------------------------


def _newest(bus: AsyncBus, access: Access) -> list[Event]:
    query = access.narrow(followed(Query(limit=_MOST_RECENT, backwards=True)))
    return list(bus.store.read(query))


def _recent(bus: AsyncBus, access: Access, _place: Place) -> str:
    events = [EventShape.of(event, _PAYLOAD).model_dump() for event in _newest(bus, access)]
    return encode_json({"events": events})


def _recent_text(bus: AsyncBus, access: Access) -> str:
    """As the peer tells of them: a line each, the newest last."""
    events = _newest(bus, access)[::-1]
    if not events:
        return "No recent events available"
    lines = (f"- {timestamp_of(e)}: {e.type} ({e.id[:_ID_SHOWN]}...)" for e in events)
    return "\n".join(("Recent Events:", *lines))


def _event(bus: AsyncBus, access: Access, place: Place) -> str | None:
    event = next(bus.store.read(access.narrow(Query(ids=[place.id], limit=1))), None)
    if event is None:
        return None
    return encode_json(EventShape.of(event, _WHOLE_PAYLOAD, details=True).model_dump())


def _workflow(bus: AsyncBus, access: Access, place: Place) -> str | None:
    tree = workflow_tree(bus.store, place.id, access.narrow, _MOST_NODES)
    if tree is None:
        return None
    return encode_json({**tree._asdict(), "nodes": [node._asdict() for node in tree.nodes]})


def _types(bus: AsyncBus, access: Access, _place: Place) -> str:
    catalog = bus.bus.catalog
    names = set(catalog.names())
    if access.projects is None:
        names.update(each.type for each in bus.store.types())
    shown = []
    for name in sorted(names)[:_MOST_TYPES]:
        info = catalog.info(name)
        shown.append({
            "type": name,
            "known": bool(info),
            "description": info.get("description", ""),
            "payload_keys": info.get("payload_keys", []),
            "aggregate_type": info.get("aggregate_type"),
            "has_schema": bool(info.get("schema")),
        })  # fmt: skip
    return encode_json({"types": shown, "complete": len(shown) == len(names)})


_READERS: dict[str, Callable[[AsyncBus, Access, Place], str | None]] = {
    RECENT: _recent,
    EVENT: _event,
    WORKFLOW: _workflow,
    TYPES: _types,
}
