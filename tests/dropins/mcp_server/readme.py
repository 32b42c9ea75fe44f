"""The examples in the original's README, as they stand there, for the tests of this folder."""

from __future__ import annotations

import textwrap
from typing import Any

__all__ = ["CLIENT", "TOOLS", "made"]

CLIENT = """
from eventuali_mcp_server import EventAPIClient

async def main():
    async with EventAPIClient("http://localhost:8765") as client:
        # Emit an event
        await client.emit_event(
            event_name="agent.myAgent.started",
            attributes={"agent_id": "my-agent-123"},
            aggregate_id="my-agent-123"
        )
        
        # Stream events
        async for event in client.stream_events():
            if event.event == "event_created":
                print(f"Received: {event.data}")
"""  # noqa: W293 - as it stands there

TOOLS = """
await mcp_client.call_tool("start_agent", {
    "agent_name": "urlCacher",
    "agent_id": "cache-agent-123",
    "workflow_id": "workflow-456",
    "parent_agent_id": "orchestrator"
})
await mcp_client.call_tool("emit_agent_event", {
    "agent_id": "cache-agent-123",
    "agent_name": "urlCacher",
    "event_name": "processing_started",
    "attributes": {"url_count": 5}
})
await mcp_client.call_tool("complete_agent", {
    "agent_id": "cache-agent-123",
    "agent_name": "urlCacher", 
    "success": True,
    "message": "Successfully cached 5 URLs"
})
"""  # noqa: W291 - as it stands there


def made(source: str, **given: Any) -> dict[str, Any]:
    """What some source defines; an `await` outside of any function stands in `main(mcp_client)`."""
    if source.startswith("\nawait "):
        source = f"async def main(mcp_client):\n{textwrap.indent(source, '    ')}"
    names: dict[str, Any] = dict(given)
    exec(source, names)  # noqa: S102 - the examples above
    return names
