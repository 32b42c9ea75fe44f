"""Whatever a client sends: one event more and a success, or none and an error that says why."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent

from tests.mcp_server.tool_calls import text_of
from tidings.aio import AsyncBus
from tidings.mcp_server.making import Ground, Server, create_mcp
from tidings.mcp_server.telling import BUG
from tidings.testing.elsewhere import PATIENCE

_TEXTS = st.one_of(
    st.sampled_from(
        [
            "", "a", "a\nb", "\x00", "\x1b[31m", "\u2028", "\ud800", "x" * 256, "🎉", "null", "{}",
            '{"a": 1}', "[1, 2]", "true", "../../etc/passwd", "'; DROP TABLE events; --", "*",
        ]
    ),
    st.text(max_size=12),
)  # fmt: skip
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
_EMITTING = {
    "start_agent": ("agent_name", "agent_id", "workflow_id", "parent_agent_id", "project", "id"),
    "emit_agent_event": ("agent_id", "agent_name", "event_name", "attributes", "workflow_id"),
    "complete_agent": ("agent_id", "agent_name", "success", "message", "id"),
    "start_workflow": ("workflow_id", "user_prompt", "id"),
    "emit_workflow_event": ("workflow_id", "event_name", "attributes", "user_prompt"),
    "complete_workflow": ("workflow_id", "success", "message"),
    "emit_system_event": ("event_name", "session_id", "attributes"),
    "emit": ("type", "payload", "status", "timestamp", "aggregate_type", "aggregate_id", "id"),
}
_READING = {
    "get_events": ("limit", "offset", "event_type", "aggregate_type", "payload_limit"),
    "latest": ("type", "project"),
    "history": ("limit", "types", "before"),
    "search_events": ("types", "ids", "payload", "contains", "since", "order", "after"),
    "get_workflow": ("workflow_id", "limit"),
    "list_types": ("prefix", "after", "limit"),
}


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A tool and what it is called with: its own arguments, and now and then a stranger."""
    names = _EMITTING | _READING
    tool = draw(st.sampled_from(sorted(names)))
    values = st.one_of(_TEXTS, _VALUES, st.just(_nested(300)))
    arguments = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names[tool], values)))
    if draw(st.integers(0, 9)) == 0:
        arguments |= draw(st.dictionaries(_TEXTS, _VALUES, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        return tool, {"request": arguments}
    return tool, arguments


@settings(max_examples=60, deadline=None)
@given(st.lists(_calls(), min_size=1, max_size=10))
def test_hostile_arguments_are_kept_as_they_are_or_refused(
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    """No arguments make a tool fail in a way of its own, or keep half of something."""

    async def main() -> None:
        # Not through the SDK's client, which cannot send lone surrogates or what is very deep.
        async with AsyncBus("memory:") as bus:
            server = _server(bus)
            for tool, arguments in calls:
                before = bus.store.head()
                result = await _answer(server, tool, arguments)
                text = text_of(result)
                result.model_dump_json()  # it can be sent
                assert BUG not in text, (tool, arguments)
                kept = bus.store.head() - before
                structure = result.structured_content or {}
                repeated = structure.get("position", before + 1) <= before
                emits = tool in _EMITTING and not result.is_error and not repeated
                assert kept == emits, (tool, arguments, text)
                assert len(text) > 20 or not result.is_error

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


_buses: list[AsyncBus] = []


@cache
def _made() -> Server:
    """One server for all examples; to make one takes longer than what is tried."""
    return create_mcp(Ground(lambda: _buses[-1]))


def _server(bus: AsyncBus) -> Server:
    _buses[:] = [bus]
    return _made()


async def _answer(server: Server, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    """What the server would send."""
    try:
        result = await server.call_tool(tool, arguments)
    except ToolError as error:
        return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
    assert isinstance(result, CallToolResult)
    return result
