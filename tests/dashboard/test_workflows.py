"""Workflows: how each stands, what was asked for, who took part and when, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.dashboard.telling import tell

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Locator, Page

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus

_HOUR = 3600.0


def row(page: Page, name: str) -> Locator:
    """The row of a table with a link of this name."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def widths(page: Page) -> list[float]:
    """How wide the bars of the timeline are, from above."""
    found: list[float] = page.locator(".timeline .bar").evaluate_all(
        "bars => bars.map(bar => bar.getBoundingClientRect().width)"
    )
    return found


def test_the_list_says_how_each_stands(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """Also of what says nothing itself while its agents work; and it changes as events come."""
    tell(bus, "workflow/w-done", "started", 7530, payload={"user_prompt": "Draw figure 2"})
    tell(bus, "workflow/w-done", "completed", 300)
    tell(bus, "workflow/w-failed", "started", 100)
    tell(bus, "workflow/w-failed", "prompted", 99, payload={"prompt": "Draw figure 3"})
    tell(bus, "workflow/w-failed", "failed", 40)
    tell(bus, "workflow/w-silent", "started", _HOUR)
    tell(bus, "workflow/w-busy", "started", _HOUR)
    tell(bus, "agent/a-1", "started", _HOUR, workflow="w-busy")
    tell(bus, "agent/a-2", "started", 3, workflow="w-busy")
    page = open_page(served, "#/workflows")
    expect(page).to_have_title("Workflows · Tidings")
    expect(row(page, "w-done")).to_contain_text("Draw figure 2")
    expect(row(page, "w-done")).to_contain_text("2 h 0 m")
    expect(row(page, "w-failed")).to_contain_text("failed")
    expect(row(page, "w-failed")).to_contain_text("Draw figure 3")
    expect(row(page, "w-silent")).to_contain_text("stuck")
    expect(row(page, "w-busy")).to_contain_text("running")
    expect(row(page, "w-busy")).to_contain_text("agent.started")
    expect(row(page, "w-busy").get_by_role("cell").nth(6)).to_have_text("2")
    # A mark on hover would not do: it is said what stuck means.
    expect(page.get_by_text("have said anything for 15 minutes")).to_be_visible()

    page.get_by_role("button", name="Failed").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Done").click()
    expect(row(page, "w-done")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    tell(bus, "workflow/w-busy", "completed")
    expect(row(page, "w-busy")).to_contain_text("done")
    page.go_back()
    expect(row(page, "w-failed")).to_be_visible()
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(4)


def test_a_choice_is_of_all_there_are(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """What is stuck is found behind more than a page of what is not, and what it was asked for."""
    tell(bus, "workflow/w-old", "started", _HOUR, payload={"user_prompt": "Draw figure 9"})
    tell(bus, "workflow/w-busy", "started", _HOUR)
    bus.emit_many(
        {
            "type": "workflow.completed",
            "aggregate_type": "workflow",
            "aggregate_id": f"w-{number}",
            "status": "success",
        }
        for number in range(120)
    )
    tell(bus, "agent/a", "started", 5, workflow="w-busy")
    page = open_page(served, "#/workflows")
    expect(row(page, "w-119")).to_be_visible()
    expect(row(page, "w-old")).to_have_count(0)
    page.get_by_role("button", name="Stuck").click()
    expect(row(page, "w-old")).to_contain_text("Draw figure 9")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Running").click()
    expect(row(page, "w-busy")).to_contain_text("running")
    expect(row(page, "w-old")).to_contain_text("stuck")
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_text("None in this state.")).to_be_visible()
    page.get_by_role("button", name="All").click()
    expect(row(page, "w-119")).to_be_visible()


def test_one_is_a_timeline_that_lives(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """A bar for each agent, below who started it; failures loud; what comes appears."""
    start = tell(bus, "workflow/w", "started", 100, payload={"user_prompt": "Check section 3"})
    tell(bus, "agent/lead", "started", 98, workflow="w", causation_id=start.id)
    tell(bus, "agent/reader", "started", 90, workflow="w", causation_id="lead")
    tell(bus, "agent/reader", "failed", 50, workflow="w", payload={"error": "HTTP 503"})
    bus.emit("note", correlation_id="w", payload={"text": "about nobody"})
    page = open_page(served, "#/workflows/w")
    lanes = page.locator(".lane:not(.scale) .name")
    expect(lanes).to_contain_text(["w", "lead", "reader", "Other events"])
    expect(page.locator(".prompt")).to_contain_text("Check section 3")
    expect(page.get_by_role("list", name="What failed")).to_contain_text("HTTP 503")
    indents = lanes.evaluate_all("all => all.map(one => parseFloat(one.style.paddingInlineStart))")
    assert indents[0] < indents[1] < indents[2]
    expect(page.locator(".lane.failed")).to_contain_text("reader")
    whole = widths(page)
    assert whole[0] > whole[1] > whole[2] > 0

    tell(bus, "agent/writer", "started", workflow="w", causation_id="lead")
    expect(lanes).to_contain_text(["w", "lead", "reader", "writer", "Other events"])
    expect(page.locator(".lane.running")).to_have_count(3)
    tell(bus, "agent/writer", "completed", workflow="w")
    tell(bus, "agent/lead", "completed", workflow="w")
    tell(bus, "workflow/w", "failed")
    expect(page.locator(".lane.running")).to_have_count(0)
    expect(page.locator(".top").first).to_contain_text("failed")

    page.get_by_role("button", name="Tree").click()
    tree = page.get_by_role("list", name="Who started whom")
    below = tree.locator("> li > ul > li").filter(has_text="lead").locator("> ul > li")
    expect(below).to_contain_text(["reader", "writer"])
    page.get_by_role("button", name="Timeline").click()
    page.locator(".lane.failed").get_by_role("link", name="reader").click()
    expect(page.locator(".row")).to_have_count(2)


def test_the_timeline_is_zoomed(story: Server, open_page: OpenPage) -> None:
    """By buttons, and by Ctrl and the wheel around what lies under the pointer."""
    page = open_page(story, "#/workflows/workflow-review")
    # What is asked for apart from the agents, and stands above them, is there.
    expect(page.locator(".prompt")).to_be_visible()
    bar = page.locator(".timeline .lane").filter(has_text="writer").locator(".bar")
    before = _box(bar)
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="← Earlier").click()
    page.get_by_role("button", name="Zoom out").click()
    expect(page.get_by_role("button", name="Zoom out")).to_be_disabled()
    assert _box(bar) == before

    page.mouse.move(before["x"] + 5, before["y"] + 5)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(page.get_by_role("button", name="All", exact=True)).to_be_enabled()
    after = _box(bar)
    assert after["width"] > before["width"]
    assert abs(after["x"] - before["x"]) < 5
    assert page.evaluate("visualViewport.scale * devicePixelRatio") == 1
    page.get_by_role("button", name="All", exact=True).click()
    assert _box(bar) == before


def _box(bar: Locator) -> FloatRect:
    expect(bar).to_be_visible()
    box = bar.bounding_box()
    assert box is not None
    return box


def test_a_failed_agent_leads_back_to_the_prompt(story: Server, open_page: OpenPage) -> None:
    """By what stands on the page alone, in two ways."""
    page = open_page(story)
    page.get_by_role("link", name="Agents").click()
    page.get_by_role("button", name="Failed").click()
    agent = row(page, "workflow-review-citations")
    agent.get_by_role("link", name="workflow-review", exact=True).click()
    asked = page.get_by_text("Check every citation of section 3 against the library")
    expect(asked).to_be_visible()
    expect(page.get_by_text("HTTP 503 from the catalogue")).to_be_visible()

    page.get_by_role("link", name="agent.citations.failed").click()
    page.get_by_role("link", name="Caused by agent.citations.started").click()
    page.get_by_role("link", name="Workflow workflow-review").click()
    expect(asked).to_be_visible()


def test_one_that_is_not_there_says_so(story: Server, open_page: OpenPage) -> None:
    """No blank page, and a way on."""
    page = open_page(story, "#/workflows/nowhere")
    expect(page.get_by_text("No event speaks of this workflow")).to_be_visible()
    page.get_by_role("link", name="All workflows").click()
    expect(page.get_by_role("link", name="workflow-review", exact=True)).to_be_visible()
