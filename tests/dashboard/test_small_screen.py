"""A phone, 360 pixels wide: everything is there, and nothing is beside the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tidings import demo

if TYPE_CHECKING:
    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server

_VIEWS = {
    "events": ".row",
    "workflows": "tbody tr",
    "workflows/workflow-review": ".lane",
    "agents": "tbody tr",
    "jobs": ".outcomes-bar",
    f"jobs/{demo.ARRAY}": ".run-details pre",
    "types": "tbody tr",
    "delivery": ".part >> nth=2",
    "status": ".cards strong >> text=healthy",
}
_WIDTHS = "[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]"


def test_nothing_is_beside_the_screen(story: Server, open_page: OpenPage) -> None:
    """On any view; an event covers the list, and closing it shows the list again."""
    page = open_page(story, viewport={"width": 360, "height": 740})
    for place, there in _VIEWS.items():
        page.evaluate(f"location.hash = {f'#/{place}'!r}")
        expect(page.locator(there).first).to_be_visible()
        assert page.evaluate(_WIDTHS) == [360, 360], place
        expect(page.get_by_text("Connected", exact=True).first).to_be_in_viewport()
        expect(page.get_by_text("Settings")).to_be_in_viewport(ratio=1)
    page.get_by_role("link", name="Events").click()
    page.locator(".row .type button").first.click()
    panel = page.get_by_role("complementary", name="Event")
    expect(panel).to_be_focused()
    expect(page.locator(".row").first).to_be_hidden()
    assert page.evaluate(_WIDTHS) == [360, 360]
    expect(panel.get_by_role("button", name="tidings")).to_be_in_viewport(ratio=1)
    panel.get_by_role("button", name="Close").click()
    expect(page.locator(".row").first).to_be_visible()
    # All views can be reached: the row of their names scrolls.
    status = page.get_by_role("link", name="Status")
    status.click()
    expect(status).to_be_in_viewport()
