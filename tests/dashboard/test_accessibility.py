"""WCAG: what axe can tell on every view in both themes, and the keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.dashboard.axe import violations
from tidings import demo
from tidings.server.keys import KeyRing

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus

_FULL = {
    "events": ".row",
    "workflows": "tbody tr",
    "workflows/workflow-review": ".lane",
    "agents": "tbody tr",
    "jobs": ".outcomes-bar",
    # Only the failed one: axe takes a second for every twenty of five hundred.
    f"jobs/{demo.ARRAY}?state=failed": ".run-details pre",
    "types": "tbody tr",
    "delivery": ".part >> nth=2",
    "status": ".cards strong >> text=healthy",
    "nowhere": ".view",
}
"""The views, each with what is there once it is loaded."""

_EMPTY = ("events", "workflows", "agents", "jobs", "delivery")


def focused(page: Page) -> str:
    """What has the keyboard's focus: its text or label."""
    text: str = page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
    )
    return text


def go(page: Page, place: str) -> None:
    """To another view, as a click on a link does."""
    page.evaluate(f"location.hash = {f'#/{place}'!r}")


@pytest.mark.parametrize(("theme", "rule"), [("light", ()), ("dark", ("color-contrast",))])
def test_axe_finds_nothing_on_any_view(
    story: Server, open_page: OpenPage, theme: str, rule: tuple[str, ...]
) -> None:
    """Also with an event beside the list, a menu, and a dialog open; themes differ in colours."""
    page = open_page(story, color_scheme=theme, viewport={"width": 1360, "height": 500})
    for place, there in _FULL.items():
        go(page, place)
        expect(page.locator(there).first).to_be_visible()
        assert violations(page, *rule) == [], place
    page.get_by_text("Settings").click()
    go(page, "workflows/workflow-review")
    page.get_by_role("button", name="Tree").click()
    expect(page.locator(".agent-tree")).to_be_visible()
    assert violations(page, *rule) == []
    go(page, "events?status=failure")
    page.locator(".row .type button").first.click()
    expect(page.locator(".event-panel .json").first).to_be_visible()
    assert violations(page, *rule) == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page, *rule) == []


def test_axe_finds_nothing_where_there_is_nothing(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """The empty views, and the one that asks for a key after a wrong one."""
    page = open_page(served)
    for place in _EMPTY:
        go(page, place)
        expect(page.locator(".notice code").first).to_be_visible()
        assert violations(page) == [], place
    KeyRing(bus.store).create("ada", ["read"])
    page.get_by_label("Key", exact=True).fill("tid_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    assert violations(page) == []


def test_the_keyboard_is_enough(story: Server, open_page: OpenPage) -> None:
    """Skip, filter, open, step, close, help, pause; the focus goes along and can be seen."""
    page = open_page(story)
    expect(page.locator(".row").first).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    in_sight = page.get_by_role("button", name="Skip to content").bounding_box()
    assert in_sight is not None
    assert in_sight["y"] >= 0
    page.keyboard.press("Tab")
    assert focused(page) == "Tidings"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "Filter events"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.type("type:agent.citations.f*")
    page.keyboard.press("Enter")
    expect(page.locator(".row")).to_have_count(1)
    # Letters belong to the field while one types; Escape leaves it.
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    panel = page.get_by_role("complementary", name="Event")
    expect(panel.get_by_role("heading", name="agent.citations.failed")).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator(".row .type button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel).to_be_focused()
    page.keyboard.press("Tab")
    assert "Newer" in focused(page)
    panel.get_by_role("button", name="Close").press("Enter")
    expect(page.locator(".row .type button")).to_be_focused()
    page.keyboard.press("/")
    assert focused(page) == "Filter events"


def test_the_menu_opens_and_closes_by_keys(story: Server, open_page: OpenPage) -> None:
    """Theme and times are chosen there and kept; Escape closes it, and nothing behind it."""
    page = open_page(story, "#/workflows", color_scheme="light", timezone_id="Asia/Tokyo")
    started = page.locator("tbody time").first
    expect(started).to_be_visible()
    in_tokyo = started.inner_text()
    menu = page.locator("details.menu")
    summary = menu.locator("summary")
    summary.press("Enter")
    page.get_by_label("Times").select_option("UTC")
    expect(started).to_have_text(page.evaluate(f"{_IN_UTC}({in_tokyo!r})"))
    page.get_by_label("Times").select_option("How long ago")
    expect(started).to_contain_text("ago")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_label("Theme").select_option("Dark")
    assert page.evaluate(paper) != light
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()
    page.reload()
    expect(started).to_contain_text("ago")
    assert page.evaluate(paper) != light
    summary.press("Enter")
    page.get_by_role("button", name="Keys").press("Enter")
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()


_IN_UTC = "(text => new Date(text).toISOString().replace('T', ' '))"
