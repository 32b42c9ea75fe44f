"""`EventAPIClient`: the event server's HTTP API for asyncio, as eventuali-mcp-server has it.

Methods, arguments, defaults and errors are those of version 0.2.2. It asks the routes of seed 002,
so it works with either make of `eventuali-api-server`; what only a Tidings server can (going on
with a stream where it broke off, filtering by session) is used where one answers. It keeps nothing.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from datetime import UTC, datetime
from urllib.parse import quote, urljoin

import httpx
from pydantic import ValidationError

from eventuali_mcp_server.models import (
    EventItem,
    EventResponse,
    EventsResponse,
    HealthResponse,
    StreamEventItem,
)
from eventuali_mcp_server.streaming import Reader, item_of, may_pass
from tidings import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType
    from typing import Any, Self

__all__ = ["EventAPIClient"]

_log = logging.getLogger("eventuali_mcp_server")

_TIMEOUT = 30.0
"""For each answer, and for a sign of life on a stream, which Tidings gives every 15 s (seconds)."""

_OUTAGE = 120.0
"""How long a stream puts up with a server that served before and is away (seconds)."""


class EventAPIClient:
    """A client of an event server.

    Use it from one event loop. As an async context manager it closes itself.

    Args:
        base_url: where the server is.

    Attributes:
        base_url: the same without a slash at the end.
        events_url: where its events are.

    Every method raises `RuntimeError` once the client is closed, and `httpx.HTTPError` where the
    server cannot be reached or refuses. A server that wants a key is shown `TIDINGS_KEY`.

    >>> EventAPIClient("http://localhost:8765/").events_url
    'http://localhost:8765/events'
    """

    def __init__(self, base_url: str = "http://127.0.0.1:8765") -> None:
        self.base_url = base_url.rstrip("/")
        self.events_url = f"{self.base_url}/events"
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        if not self._closed:
            self._opened()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections; it cannot be used any more."""
        self._closed = True
        if self._client is not None and not self._client.is_closed:
            await self._client.aclose()

    # Emitting -------------------------------------------------------------------------------------

    async def emit_agent_event(
        self,
        event_name: str,
        attributes: dict[str, Any] | None = None,
        aggregate_id: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
    ) -> EventResponse:
        """Say that something happened to an agent.

        Args:
            event_name: what happened, such as `agent.urlCacher.started`.
            attributes: what there is to say, as a JSON object.
            aggregate_id: the agent; none for a new one.
            causation_id: what caused it: the parent agent, or an event's id.
            correlation_id: the workflow it belongs to.

        Returns:
            What became of it.
        """
        ids = (aggregate_id, causation_id, correlation_id)
        return await self._emit("agent", event_name, attributes, *ids)

    async def emit_workflow_event(
        self,
        event_name: str,
        attributes: dict[str, Any] | None = None,
        aggregate_id: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
    ) -> EventResponse:
        """Say that something happened to a workflow; as `emit_agent_event`."""
        ids = (aggregate_id, causation_id, correlation_id)
        return await self._emit("workflow", event_name, attributes, *ids)

    async def emit_system_event(
        self,
        event_name: str,
        attributes: dict[str, Any] | None = None,
        aggregate_id: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
    ) -> EventResponse:
        """Say that something happened to the system, or in a session; as `emit_agent_event`."""
        ids = (aggregate_id, causation_id, correlation_id)
        return await self._emit("system", event_name, attributes, *ids)

    async def emit_event(
        self,
        event_name: str,
        attributes: dict[str, Any] | None = None,
        aggregate_id: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
    ) -> EventResponse:
        """The same as `emit_agent_event`, whatever the name begins with."""
        ids = (aggregate_id, causation_id, correlation_id)
        return await self._emit("agent", event_name, attributes, *ids)

    async def _emit(
        self,
        kind: str,
        event_name: str,
        attributes: dict[str, Any] | None,
        aggregate_id: str | None,
        causation_id: str | None,
        correlation_id: str | None,
    ) -> EventResponse:
        event = {
            "name": event_name,
            "attributes": attributes or {},
            "timestamp": datetime.now(UTC).isoformat(),
        }
        ids = {
            "aggregate_id": aggregate_id,
            "causation_id": causation_id,
            "correlation_id": correlation_id,
        }
        event |= {name: value for name, value in ids.items() if value}
        response = await self._opened().post(f"{self.events_url}/emit/{kind}", json=event)
        response.raise_for_status()
        return EventResponse(**response.json())

    # Reading --------------------------------------------------------------------------------------

    async def get_events(
        self,
        limit: int = 100,
        offset: int = 0,
        event_type: str | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> EventsResponse:
        """The events that match, newest first.

        Args:
            limit: at most so many, 1 to 1000.
            offset: leaves out so many.
            event_type: only of this type: `agent.urlCacher.started`, `agent.*`, `AgentEvent`.
            aggregate_type: only about this kind of thing: `agent_aggregate`, or `agent`.
        """
        filters = {"event_type": event_type, "aggregate_type": aggregate_type}
        given = {name: value for name, value in filters.items() if value}
        return await self._page("/", {"limit": limit, "offset": offset, **given})

    async def get_agent_events(self, agent_id: str, limit: int = 100) -> EventsResponse:
        """The events of an agent, newest first; at most so many."""
        return await self._page(f"/agents/{quote(agent_id, safe='')}", {"limit": limit})

    async def get_workflow_events(self, workflow_id: str, limit: int = 100) -> EventsResponse:
        """A workflow's own events, newest first; at most so many."""
        return await self._page(f"/workflows/{quote(workflow_id, safe='')}", {"limit": limit})

    async def get_system_events(self, session_id: str, limit: int = 100) -> EventsResponse:
        """The events of a session, newest first; at most so many."""
        about = {"aggregate_type": "system_aggregate", "aggregate_id": session_id}
        page = await self._page("/", {"limit": limit, **about})
        own = [event for event in page.events if event.aggregate_id == session_id]
        if len(own) < len(page.events):  # A server that knows no filter by session.
            return page.model_copy(update={"events": own, "total": len(own)})
        return page

    async def get_workflow_agents(self, workflow_id: str) -> list[dict[str, Any]]:
        """The agents that took part in a workflow, the first to start first."""
        agents: list[dict[str, Any]] = []
        url: str | None = f"{self.events_url}/workflows/{quote(workflow_id, safe='')}/agents"
        while url is not None:
            response = await self._opened().get(url)
            response.raise_for_status()
            answer = response.json()
            agents += answer.get("agents", [])
            more = answer.get("next")
            url = None if more is None else urljoin(url, more)
        return agents

    async def _page(self, path: str, params: dict[str, Any]) -> EventsResponse:
        response = await self._opened().get(f"{self.events_url}{path}", params=params)
        response.raise_for_status()
        answer = response.json()
        events = [item for data in answer.get("events", []) if (item := _read(data)) is not None]
        return EventsResponse(
            events=events,
            total=answer.get("total", len(events)),
            limit=answer.get("limit", params["limit"]),
            offset=answer.get("offset", params.get("offset", 0)),
        )

    # Following ------------------------------------------------------------------------------------

    async def stream_events(self) -> AsyncGenerator[StreamEventItem, None]:
        """Each new event, as it comes; from now on, without end.

        A Tidings server that starts anew, or a line that breaks, costs nothing: the stream goes on
        where it was. A stream of another server ends or fails with its connection.

        Raises:
            httpx.HTTPError: the server cannot be reached, or has been away for two minutes.
        """
        reader = Reader()
        while True:
            try:
                async with aclosing(self._streamed(reader)) as items:
                    async for item in items:
                        yield item
            except httpx.HTTPError as error:
                if not (reader.last_id and may_pass(error) and reader.seconds_away() < _OUTAGE):
                    raise
            if not reader.last_id:
                return
            reader.lost()
            await asyncio.sleep(reader.retry)

    async def _streamed(self, reader: Reader) -> AsyncGenerator[StreamEventItem, None]:
        """What one connection gives."""
        headers = {"Accept": "text/event-stream"}
        if reader.last_id:
            headers["Last-Event-ID"] = reader.last_id
        url = f"{self.events_url}/stream"
        async with self._opened().stream("GET", url, headers=headers) as response:
            response.raise_for_status()
            reader.found()
            async with aclosing(reader.frames(response.aiter_lines())) as frames:
                async for frame in frames:
                    item = item_of(frame)
                    if item is not None:
                        yield item

    # Beside events --------------------------------------------------------------------------------

    async def health_check(self) -> HealthResponse:
        """Whether the server serves; a server that is away is an answer here, and no error."""
        client = self._opened()
        try:
            # The original sends from /health to /health/.
            response = await client.get(f"{self.base_url}/health", follow_redirects=True)
            response.raise_for_status()
            answer = response.json()
            return HealthResponse(
                status=answer.get("status", "unknown"),
                timestamp=answer.get("timestamp", datetime.now(UTC)),
                api_connected=True,
            )
        except httpx.HTTPError as error:
            _log.warning("%s is not well: %s", self.base_url, error)
            return _not_well("unhealthy")
        except (ValueError, AttributeError) as error:
            _log.warning("%s answers as no event server does: %s", self.base_url, error)
            return _not_well("error")

    def _opened(self) -> httpx.AsyncClient:
        """The connections, made when they are needed first."""
        if self._closed:
            raise RuntimeError("Client is closed")
        if self._client is None or self._client.is_closed:
            headers = {"Content-Type": "application/json"}
            key = settings.key()
            if key is not None:
                headers["Authorization"] = f"Bearer {key}"
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(_TIMEOUT), headers=headers)
        return self._client


def _read(data: Any) -> EventItem | None:
    """An event as the server sent it; none, and a word in the log, where it is no event."""
    try:
        return EventItem.model_validate(data)
    except ValidationError as error:
        _log.warning("the server sent something that is no event, which is passed over: %s", error)
        return None


def _not_well(status: str) -> HealthResponse:
    return HealthResponse(status=status, timestamp=datetime.now(UTC), api_connected=False)
