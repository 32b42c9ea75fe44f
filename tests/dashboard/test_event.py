"""One event: what it says, how it is copied, and where one can go from it."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.dashboard.looking import copied
from tidings.event import Event

if TYPE_CHECKING:
    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus

_ODD = "a/b?c#d%2F ü"


def test_it_is_found_by_its_link_and_left_by_keys(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """Whatever stands in an id, its address leads to it; j, k and Escape move on."""
    bus.emit("first", id=_ODD)
    bus.emit("second")
    page = open_page(served)
    page.get_by_role("button", name="first").click()
    panel = page.get_by_role("complementary", name="Event")
    expect(panel.get_by_role("heading", name="first")).to_be_visible()
    again = open_page(served, f"#{page.url.partition('#')[2]}")
    expect(again.get_by_role("heading", name="first")).to_be_visible()
    page.keyboard.press("k")
    expect(panel.get_by_role("heading", name="second")).to_be_visible()
    page.keyboard.press("j")
    expect(panel.get_by_role("heading", name="first")).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_its_payload_is_a_tree_and_raw_and_can_be_copied(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """The tree opens and closes; what is copied can be pasted into a shell."""
    payload = {"outer": {"inner": {"deep": [1, "two"]}}, "n": 1.5}
    bus.emit("job_done", payload=payload, id="it's")
    page = open_page(served, "#/events/it's", permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator(".json").first).to_contain_text("outer")
    page.get_by_label("Raw").check()
    assert json.loads(page.locator("pre.raw").inner_text()) == payload
    for name, words in (
        ("curl", ["curl", "-s", f"{served.url}/events/by-id/it%27s"]),
        ("tidings", ["tidings", "history", "--id", "it's", "--json"]),
    ):
        assert shlex.split(copied(page, name)) == words
        expect(page.get_by_text("Copied")).to_have_count(0)


def test_a_whole_number_is_shown_copied_and_filtered_as_it_was_sent(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """Also past 2^53, where a browser rounds: in the list, the tree, raw and the clipboard."""
    number = 12345678901234567890
    bus.emit_many([Event("job_done", payload={"job": number + n}, id=f"e{n}") for n in range(3)])
    page = open_page(
        served,
        f"#/events/e1?payload.job:={number + 1}",
        permissions=["clipboard-read", "clipboard-write"],
    )
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text(f"job={number + 1}")
    expect(page.locator(".json").first).to_contain_text(re.compile(rf"job:\s*{number + 1}\b"))
    assert json.loads(copied(page, "JSON")) == {"job": number + 1}
    page.get_by_label("Raw").check()
    assert json.loads(page.locator("pre.raw").inner_text()) == {"job": number + 1}
    bus.emit("job_done", payload={"job": number + 1}, id="live")
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator(".row").first).to_contain_text(f"job={number + 1}")


def test_one_hops_to_cause_effect_aggregate_and_workflow(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """Each leads to the other, in both directions."""
    about: dict[str, Any] = {
        "aggregate_type": "agent",
        "aggregate_id": "x",
        "correlation_id": "w-1",
    }
    bus.emit("asked", id="cause")
    bus.emit("done", id="effect", causation_id="cause", **about)
    page = open_page(served, "#/events/effect")
    page.get_by_role("link", name="Caused by asked").click()
    expect(page.get_by_role("heading", name="asked")).to_be_visible()
    page.get_by_role("link", name="Caused done").click()
    expect(page.get_by_role("heading", name="done")).to_be_visible()
    page.get_by_role("link", name="All about this agent").click()
    expect(page.locator(".row")).to_have_count(1)
    page.go_back()
    page.get_by_role("link", name="Workflow w-1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("w-1")


def test_an_event_that_is_not_there_says_so(served: Server, open_page: OpenPage) -> None:
    """No blank panel."""
    page = open_page(served, "#/events/nowhere")
    expect(page.get_by_role("alert")).to_contain_text("nowhere")


def test_its_neighbours_are_found_where_the_list_does_not_hold_it(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """A link may lead to an event that the filters leave out: the server knows the next."""
    for id in ("before", "between", "after"):
        bus.emit(id, "other" if id == "between" else "mine", id=id)
    page = open_page(served, "#/events/between?project=mine")
    panel = page.get_by_role("complementary", name="Event")
    expect(page.locator(".row")).to_have_count(2)
    for key, name in (("j", "before"), ("k", "after")):
        expect(panel.get_by_role("heading", name="between")).to_be_visible()
        page.keyboard.press(key)
        expect(panel.get_by_role("heading", name=name)).to_be_visible()
        page.evaluate("location.hash = '#/events/between?project=mine'")


def test_a_large_payload_is_shown_in_part(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """The page says so, shows more of it when asked to, and has all of it in the raw view."""
    bus.emit("large", id="large", payload={"list": list(range(100_000)), "last": "one"})
    page = open_page(served, "#/events/large")
    expect(page.get_by_text("This is a part of it")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    page.get_by_label("Raw").check()
    assert json.loads(page.locator("pre.raw").inner_text())["last"] == "one"
