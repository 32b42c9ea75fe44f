"""`eventuali_mcp_server` on Tidings: the MCP server, and a client of the event server.

    client       EventAPIClient
    streaming    the live stream, for it
    models       what tools are asked and what they answer
    main         the MCP server
    command      the command eventuali-mcp-server
    api_server   the event server beside it, for START_API_SERVER

The names that eventuali-mcp-server 0.2.2 offers, with its signatures, defaults and types; what is
behind them lives in `tidings.mcp_server`. Both are loaded when they are first asked for, so that a
missing extra is told in one line.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eventuali_mcp_server.client import EventAPIClient
    from eventuali_mcp_server.models import (
        AgentEventRequest,
        CompleteAgentRequest,
        CompleteWorkflowRequest,
        EventItem,
        EventResponse,
        EventsResponse,
        GetEventsRequest,
        HealthResponse,
        StartAgentRequest,
        StartWorkflowRequest,
        StreamEventItem,
        SystemEventRequest,
        WorkflowEventRequest,
    )

__version__ = "0.2.2"
"""The version of eventuali-mcp-server whose place it takes."""

__all__ = [
    "AgentEventRequest",
    "CompleteAgentRequest",
    "CompleteWorkflowRequest",
    "EventAPIClient",
    "EventItem",
    "EventResponse",
    "EventsResponse",
    "GetEventsRequest",
    "HealthResponse",
    "StartAgentRequest",
    "StartWorkflowRequest",
    "StreamEventItem",
    "SystemEventRequest",
    "WorkflowEventRequest",
]


def __getattr__(name: str) -> object:
    if name not in {*__all__, "client", "models"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        # Not `from … import client`, which would first ask this function for it.
        client = import_module("eventuali_mcp_server.client")
        models = import_module("eventuali_mcp_server.models")
    except ImportError as error:
        from tidings.errors import MissingExtra

        extra = "eventuali-mcp-server"
        raise MissingExtra("eventuali_mcp_server", extra, "tidings-dropins") from error
    if name in {"client", "models"}:
        return client if name == "client" else models
    value: object = getattr(client if name == "EventAPIClient" else models, name)
    return value
