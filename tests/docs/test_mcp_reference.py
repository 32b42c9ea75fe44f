"""Whether the reference of MCP names every tool and resource, and none that is not."""

from __future__ import annotations

import asyncio
import re

from tests.docs.pages import DOCS, section
from tidings.mcp_server.making import Ground, LazyBus, create_mcp

PAGE = DOCS / "reference" / "mcp.md"


def first_cells(title: str) -> set[str]:
    """What the rows of a section's tables begin with, in code."""
    return set(re.findall(r"^\| `([^`]+)`", section(PAGE, title), re.MULTILINE))


def test_resources_are_documented() -> None:
    """Each address has its row."""
    server = create_mcp(Ground(LazyBus("memory:")))
    fixed = asyncio.run(server.list_resources())
    templates = asyncio.run(server.list_resource_templates())
    addresses = {str(each.uri) for each in fixed} | {each.uri_template for each in templates}
    assert first_cells("Resources") == addresses
