"""Whether the example of the client in the README of the original runs as it stands there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from eventuali_mcp_server import EventAPIClient
from tests.dropins.mcp_server.readme import CLIENT, made
from tests.server.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.server.conftest import Server


def test_the_client_emits_and_streams(served: Server) -> None:
    """The event is kept, and what comes later is received."""
    received: list[str] = []

    async def run() -> None:
        source = CLIENT.replace("8765", str(served.port))
        example = asyncio.create_task(made(source, print=received.append)["main"]())
        async with EventAPIClient(served.url) as client, asyncio.timeout(PATIENCE):
            while not received:
                await client.emit_system_event("system.session_started", aggregate_id="s1")
                await asyncio.sleep(0)
            (event,) = (await client.get_agent_events("my-agent-123")).events
        example.cancel()
        await asyncio.wait([example])
        assert event.event_name == "agent.myAgent.started"
        assert event.attributes == {"agent_id": "my-agent-123"}

    asyncio.run(run())
    assert received[0].startswith("Received: {")
    assert "system.session_started" in received[0]
