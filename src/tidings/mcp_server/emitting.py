"""Keeping the event of a tool call, and saying what became of it.

Keeps: *an emitted event is kept somewhere or the caller is told*, and promise 6: a key emits for
its own projects only. A call that is repeated with the same id repeats nothing, though the times
that the tool itself writes into it differ.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from mcp.server.mcpserver.exceptions import ToolError

from tidings.errors import IdConflict, InvalidEvent, OutcomeUnknown
from tidings.event_item import timestamp_of
from tidings.mcp_server.admitting import admitted, ensure_project
from tidings.mcp_server.shapes import EventResponse
from tidings.outcome import infer_status
from tidings.store.base import Batch
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mcp.server.mcpserver import Context

    from tidings.aio import AsyncBus
    from tidings.event import Event
    from tidings.mcp_server.access import Access
    from tidings.mcp_server.making import Ground

__all__ = ["SOURCE", "Emission", "emit", "response"]

SOURCE = "mcp"
"""The source of events that came this way, as `http` is of those that came over HTTP."""


class Emission(NamedTuple):
    """An event to be kept, by the fields of `Bus.emit`; an empty text is one that was left out.

    Attributes:
        type: what happened.
        payload: what there is to say about it.
        project: what it belongs to.
        links: further fields, by name.
        status: its outcome; inferred where it is left out.
        source: where it comes from; `SOURCE` where it is left out.
        expected_version: the version its aggregate must stand at; none for any.
        own_times: keys of the payload that the tool wrote, and not the client.
        names: what the tool calls a field of an event, for its errors.
    """

    type: str
    payload: dict[str, Any]
    project: str
    links: dict[str, str]
    status: str = ""
    source: str = ""
    expected_version: int | None = None
    own_times: frozenset[str] = frozenset()
    names: dict[str, str] = {}  # noqa: RUF012 - it is never changed


async def emit(ground: Ground, context: Context[Any, Any], emission: Emission) -> Event:
    """Keep an event.

    Returns:
        The event that is kept; without a position where it waits in the spool.

    Raises:
        TidingsError, ToolError: it was not kept, or whether it was is not known.
    """
    access = admitted(ground, context, "emit")
    ensure_project(access, emission.project)
    bus = ground.bus()
    try:
        # In a thread: the first event finds out where it is made, which reads files.
        event = await asyncio.to_thread(_made, bus, emission)
        return await _kept(bus, access, event, emission)
    except InvalidEvent as error:
        raise error.about(emission.names.get(error.field, error.field)) from None


async def _kept(bus: AsyncBus, access: Access, event: Event, emission: Emission) -> Event:
    (result,) = await bus.keep_all([Batch([event], emission.expected_version)])
    if not isinstance(result, Exception):
        return result[0]
    if isinstance(result, IdConflict):
        return await _kept_before(bus, access, event, result, emission.own_times)
    if isinstance(result, OutcomeUnknown):
        raise ToolError(
            f"The connection to the store broke in the middle, so whether the event was kept is "
            f"not known. Call again with the same arguments and id={event.id!r}, which repeats "
            f"nothing."
        ) from result
    raise result


def _made(bus: AsyncBus, emission: Emission) -> Event:
    return bus.bus.event(
        emission.type,
        emission.project,
        emission.status or infer_status(emission.type, emission.payload),
        emission.payload,
        emission.source or SOURCE,
        **{field: value for field, value in emission.links.items() if value},
    )


async def _kept_before(
    bus: AsyncBus, access: Access, event: Event, error: IdConflict, own_times: frozenset[str]
) -> Event:
    """The event that was kept under this id, where it differs in nothing the client said.

    Raises:
        IdConflict, ToolError: it does differ.
    """
    if access.projects is not None and "project" in error.differs:
        # Which fields differ would tell, guess by guess, what another project's event holds.
        raise ToolError(
            "This id belongs to an event of another project. Nothing was kept; give a new event "
            "a new id."
        ) from error
    if error.differs == ("payload",) and own_times:
        at = Query(after=error.position - 1, before=error.position + 1, limit=1)
        kept = next(await asyncio.to_thread(bus.store.read, at), None)
        if kept is not None and _without(kept, own_times) == _without(event, own_times):
            return kept
    raise error


def _without(event: Event, keys: frozenset[str]) -> Any:
    payload = event.payload
    if not isinstance(payload, dict):
        return payload
    return {key: value for key, value in payload.items() if key not in keys}


def response(bus: AsyncBus, event: Event, message: str) -> EventResponse:
    """What a tool answers once an event is kept.

    Args:
        bus: what kept it.
        event: as it is kept.
        message: the same in words, where it is in the store.
    """
    spooled = event.position is None
    if spooled:
        failure = bus.bus.last_failure
        why = "" if failure is None else f" ({type(failure).__name__}: {failure})"
        message = (
            f"{event.type!r} is safe, but not in the store yet, which cannot be reached now{why}: "
            f"it waits in the spool and is moved there later. Do not emit it again."
        )
    return EventResponse(
        success=True,
        event_id=event.id,
        message=message,
        timestamp=timestamp_of(event),
        position=event.position,
        version=event.version,
        spooled=spooled or None,
    )
