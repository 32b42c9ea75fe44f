"""Agents: how each stands, in which workflow; as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.dashboard.telling import tell

if TYPE_CHECKING:
    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus


def test_agents_come_and_go(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """The empty view shows the line that makes one; each leads to its events and its workflow."""
    page = open_page(served, "#/agents")
    expect(page.locator(".notice code")).to_contain_text('"name": "agent.started"')
    tell(bus, "agent/reader-1", "started", workflow="w 1/ü")
    agent = page.get_by_role("row").filter(has_text="reader-1")
    expect(agent).to_contain_text("running")
    tell(bus, "agent/reader-1", "failed", workflow="w 1/ü")
    expect(agent).to_contain_text("failed")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("None in this state.")).to_be_visible()
    page.get_by_role("button", name="Failed").click()
    agent.get_by_role("link", name="w 1/ü").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("w 1/ü")
    page.go_back()
    agent.get_by_role("link", name="reader-1").click()
    expect(page.locator(".row")).to_have_count(2)
