"""What models are shown of the tools: schemas, titles, descriptions, hints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, connected

SEED_ARGUMENTS: dict[str, tuple[set[str], set[str]]] = {
    "start_agent": ({"agent_name", "agent_id"}, {"parent_agent_id", "workflow_id"}),
    "emit_agent_event": (
        {"agent_id", "event_name", "agent_name"},
        {"parent_agent_id", "workflow_id", "attributes"},
    ),
    "complete_agent": (
        {"agent_id", "agent_name"},
        {"success", "message", "workflow_id", "parent_agent_id"},
    ),
    "start_workflow": ({"workflow_id", "user_prompt"}, set()),
    "emit_workflow_event": ({"workflow_id", "event_name"}, {"user_prompt", "attributes"}),
    "complete_workflow": ({"workflow_id"}, {"success", "message"}),
    "emit_system_event": ({"event_name"}, {"session_id", "attributes"}),
    "get_events": (set(), {"limit", "offset", "event_type", "aggregate_type"}),
}
"""The arguments of eventuali-mcp-server 0.2.2: those that are needed, and those that are not."""

READING = {
    *("get_events", "latest", "history", "search_events", "get_workflow", "wait_for_event"),
    "list_types",
}


def tools_listed(mode: str) -> dict[str, dict[str, Any]]:
    """The tools by name, as they go over the wire."""

    async def main() -> dict[str, dict[str, Any]]:
        async with connected(mode=mode) as tools:
            listed = (await tools.client.list_tools()).tools
        return {
            tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            for tool in listed
        }

    return run(main())


@pytest.mark.parametrize("mode", GENERATIONS)
def test_the_arguments_of_the_peer_are_all_there(mode: str) -> None:
    """Its tools have its arguments by their names, flat, and need what it needs."""
    listed = tools_listed(mode)
    for name, (needed, optional) in SEED_ARGUMENTS.items():
        schema = listed[name]["inputSchema"]
        assert schema["properties"].keys() >= needed | optional
        assert set(schema.get("required", ())) == needed
        assert "request" not in schema["properties"]


def test_every_tool_says_what_it_does() -> None:
    """Each tool has a title, a description, schemas of both sides, and hints that are true."""
    listed = tools_listed("auto")
    assert len(listed) == 15
    for name, tool in listed.items():
        assert tool["title"]
        assert len(tool["description"]) > 40
        for side in ("inputSchema", "outputSchema"):
            Draft202012Validator.check_schema(tool[side])
            assert tool[side]["type"] == "object"
        for argument in tool["inputSchema"]["properties"].values():
            assert argument["description"]
        assert tool["annotations"] == {
            "readOnlyHint": name in READING,
            "destructiveHint": False,
            "idempotentHint": name in READING,
            "openWorldHint": False,
        }


def test_the_list_of_tools_is_short_enough_to_be_read() -> None:
    """A model reads the list in each conversation, so titles and nulls are left out of it."""
    listed = tools_listed("auto")
    read = {name: (tool["description"], tool["inputSchema"]) for name, tool in listed.items()}
    assert len(json.dumps(read)) < 20_000
    assert '"title": "' not in json.dumps(read)
    assert "null" not in json.dumps(read)


def test_the_reference_names_every_tool_and_argument() -> None:
    """Each tool has a row or a line in the reference that names its arguments."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "mcp.md").read_text()
    common = {"project", "id"}
    for name, tool in tools_listed("auto").items():
        (line,) = re.findall(rf"^(?:\| |- )`{name}` (.*)$", page, re.MULTILINE)
        arguments = line.split("|")[1] if line.startswith("|") else line
        schema = tool["inputSchema"]
        expected = schema["properties"].keys()
        if name in SEED_ARGUMENTS:
            expected -= common
        assert expected <= set(re.findall(r"`(\w+)`", arguments)), name
        if line.startswith("|") and schema.get("required"):
            needed = set(re.findall(r"`(\w+)`", arguments.partition(";")[0]))
            assert needed == set(schema["required"]), name


def test_answers_fit_the_schemas_that_are_shown() -> None:
    """What tools answer is valid by their output schemas, also where there is nothing to tell."""

    async def main() -> None:
        async with connected() as tools:
            schemas = {
                tool.name: tool.output_schema for tool in (await tools.client.list_tools()).tools
            }

            async def fits(tool: str, **arguments: Any) -> None:
                answer = await tools.call(tool, **arguments)
                schema = schemas[tool]
                assert schema is not None
                Draft202012Validator(schema).validate(answer)

            for tool in ("get_events", "latest", "history", "search_events", "list_types"):
                await fits(tool)
            await fits("wait_for_event", timeout_seconds=0)
            await fits("start_workflow", workflow_id="w", user_prompt="p")
            await fits("start_agent", agent_name="x", agent_id="a", workflow_id="w")
            await fits("emit_system_event", event_name="error", session_id="s")
            await fits("emit", type="job_done")
            await tools.bus.publish(await tools.bus.emit("x", payload={"a": None}))
            await fits("get_events", payload_limit=20)
            await fits("history", details=True)
            await fits("latest", type="agent.*")
            await fits("get_workflow", workflow_id="w")
            await fits("wait_for_event", after=0)

    run(main())
