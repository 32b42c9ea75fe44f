"""A walk through every tool and resource, by the SDK's client, over whatever reaches the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.client.client import Client

__all__ = ["walk"]


def _calls(name: str) -> dict[str, dict[str, Any]]:
    """The arguments of a call of each tool, in an order that tells a story."""
    workflow, agent = f"w-{name}", {"agent_id": f"a-{name}", "agent_name": "urlCacher"}
    return {
        "start_workflow": {"workflow_id": workflow, "user_prompt": "Cache five URLs"},
        "start_agent": {**agent, "workflow_id": workflow, "parent_agent_id": workflow},
        "emit_agent_event": {
            "request": {**agent, "event_name": "processing", "attributes": {"url_count": 5}}
        },
        "complete_agent": {**agent, "workflow_id": workflow, "success": True, "message": "Done"},
        "emit_workflow_event": {"workflow_id": workflow, "event_name": "agent_added"},
        "complete_workflow": {"request": {"workflow_id": workflow, "success": True}},
        "emit_system_event": {"event_name": "session_started", "session_id": name},
        "get_events": {"limit": 10},
        "emit": {"type": "walked", "payload": {"by": name}, "id": f"walked-{name}"},
        "latest": {"type": "walked"},
        "history": {"limit": 3},
        "search_events": {"correlation_id": workflow},
        "get_workflow": {"workflow_id": workflow},
        "wait_for_event": {"types": ["walked"], "after": 0, "timeout_seconds": 30},
        "list_types": {},
    }


async def walk(client: Client, name: str) -> None:
    """Call every tool and read every resource; what was emitted must be found again.

    Args:
        client: the client.
        name: tells this walk's events from those of others.
    """
    calls = _calls(name)
    listed = (await client.list_tools()).tools
    assert {each.name for each in listed} == set(calls)
    answers = {}
    for tool, arguments in calls.items():
        result = await client.call_tool(tool, arguments)  # checks the answer by its schema
        assert not result.is_error, (tool, result.content)
        answers[tool] = result.structured_content or {}
    assert answers["latest"]["event"]["payload"] == {"by": name}
    nodes = answers["get_workflow"]["nodes"]
    assert [(each["id"], each["state"]) for each in nodes] == [
        (f"w-{name}", "done"), (f"a-{name}", "done"),
    ]  # fmt: skip
    assert all(each["duration"] >= 0 for each in nodes)
    for resource in (await client.list_resources()).resources:
        assert await _held(client, resource.uri)
    ids = {"event": f"walked-{name}", "workflow": f"w-{name}"}
    for template in (await client.list_resource_templates()).resource_templates:
        held = await _held(client, template.uri_template.replace("{id}", ids[template.name]))
        assert ids[template.name] in (held.get("id"), held.get("workflow_id"))


async def _held(client: Client, address: str) -> dict[str, Any]:
    (content,) = (await client.read_resource(address)).contents
    return json.loads(content.text)  # type: ignore[no-any-return, union-attr]  # an object, or it fails
