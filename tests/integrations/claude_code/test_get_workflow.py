"""Whether an agent sees the tree of another agent's session, over MCP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bus.loops import run
from tests.integrations.claude_code.recorded import SESSION, TREE, record, told
from tests.mcp_server.tool_calls import GENERATIONS, connected
from tidings.bus import Bus


@pytest.mark.parametrize("mode", GENERATIONS)
def test_the_tool_gives_the_tree(tmp_path: Path, mode: str) -> None:
    """The same as over HTTP, with how long each took where it has ended."""
    url = f"sqlite:///{tmp_path}/events.db"
    with Bus(url) as bus:
        record(bus, told())

    async def main() -> None:
        async with connected(url, mode=mode) as tools:
            answer = await tools.call("get_workflow", workflow_id=SESSION)
        nodes = [
            (node["id"], node.get("parent_id"), node["name"], node["state"])
            for node in answer["nodes"]
        ]
        assert sorted(nodes, key=str) == sorted(TREE, key=str)
        assert all(node["duration"] >= 0 for node in answer["nodes"])

    run(main())
