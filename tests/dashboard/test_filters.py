"""Filters: in the URL, done by the server, undone by going back."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus

_LET_THROUGH = {
    "type:job*": 2,
    "project:alpha": 2,
    "status:failure": 1,
    "source:ci": 1,
    "-source:ci": 3,
    "workflow:w 1/ü": 1,
    "agent:x": 1,
    "payload.host=n2": 1,
    "payload.pages:=3": 1,
    "out of memory": 1,
    "until:2h": 0,
    "since:2999-01-01": 0,
}
"""What is typed, and how many of the events it lets through."""


@pytest.fixture
def events(bus: Bus) -> None:
    """Some events, of several types, projects and outcomes."""
    bus.emit("job_done", "alpha", "success", {"host": "n1", "said": "all is well"})
    bus.emit("job_done", "beta", "failure", {"host": "n2", "said": "out of memory"})
    bus.emit("build_result", "alpha", "success", {"pages": 3}, source="ci")
    bus.emit("agent.x.started", aggregate_type="agent", aggregate_id="x", correlation_id="w 1/ü")


def asked(page: Page) -> dict[str, list[str]]:
    """The filters in the address."""
    return parse_qs(urlsplit(page.url).fragment.partition("?")[2], keep_blank_values=True)


def await_asked(page: Page, wanted: dict[str, list[str]]) -> None:
    """Wait until the address has these filters; Playwright hears of it a moment later."""
    end = monotonic() + PATIENCE
    while asked(page) != wanted:
        assert monotonic() < end, page.url
        page.wait_for_timeout(20)


def add(page: Page, text: str) -> None:
    """Type a filter and press Enter."""
    page.get_by_label("Filter events").fill(text)
    page.keyboard.press("Enter")


@pytest.mark.usefixtures("events")
def test_what_is_typed_filters(served: Server, open_page: OpenPage) -> None:
    """Each kind of filter lets through what it should, and its link reproduces the view."""
    page = open_page(served)
    for typed, count in _LET_THROUGH.items():
        expect(page.locator(".row")).to_have_count(4)
        add(page, typed)
        expect(page.locator(".row"), typed).to_have_count(count)
        page.reload()
        expect(page.locator(".chip").first, typed).to_be_visible()
        expect(page.locator(".row"), f"the link to {typed}").to_have_count(count)
        page.get_by_role("button", name="Clear all").click()


@pytest.mark.usefixtures("events")
def test_values_are_clicked_to_ask_for_or_exclude_them(served: Server, open_page: OpenPage) -> None:
    """A click asks for a value, its chip turns that round, back and forward undo and redo it."""
    page = open_page(served)
    page.locator(".row .project button", has_text="alpha").first.click()
    expect(page.locator(".row")).to_have_count(2)
    page.get_by_role("button", name="project: alpha", exact=True).click()
    await_asked(page, {"not.project": ["alpha"]})
    expect(page.locator(".row")).to_have_count(2)
    page.go_back()
    await_asked(page, {"project": ["alpha"]})
    page.go_back()
    expect(page.locator(".row")).to_have_count(4)
    page.go_forward()
    expect(page.locator(".row")).to_have_count(2)
    page.get_by_role("button", name="Remove project: alpha").click()
    expect(page.locator(".row")).to_have_count(4)


@pytest.mark.usefixtures("events")
def test_what_comes_is_filtered_too(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """A live list shows no event that its filters do not let through."""
    page = open_page(served, "#/events?status=failure")
    expect(page.locator(".row")).to_have_count(1)
    bus.emit("job_done", "gamma")
    bus.emit("job_done", "delta", "failure")
    expect(page.locator(".row")).to_have_count(2)
    assert page.locator(".row .project").all_inner_texts() == ["delta", "beta"]


@pytest.mark.usefixtures("events")
def test_a_part_of_the_volume_is_zoomed_into(served: Server, open_page: OpenPage) -> None:
    """Dragging over the chart asks for that time; the chart says in words what it shows."""
    page = open_page(served)
    expect(page.locator(".volume figcaption")).to_contain_text("4 events: 1 failure, 3 success")
    box = page.locator(".volume .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_url("**until=**")
    assert {"since", "until"} <= asked(page).keys()
    expect(page.get_by_text("A time that is over")).to_be_visible()
    page.get_by_role("button", name="Reset time").click()
    expect(page.locator(".row")).to_have_count(4)


@pytest.mark.usefixtures("events")
def test_a_time_that_makes_no_sense_is_told(served: Server, open_page: OpenPage) -> None:
    """The field says what it wants, and nothing changes."""
    page = open_page(served)
    add(page, "since:yesterday")
    expect(page.get_by_role("alert")).to_contain_text("needs a time such as")
    assert asked(page) == {}
