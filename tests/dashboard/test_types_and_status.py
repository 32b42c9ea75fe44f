"""Types and status: what there is, how much of it, and how the server stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tidings import __version__

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus

_SCHEMA = {"type": "object", "required": ["host"], "properties": {"host": {"type": "string"}}}


def row(page: Page, name: str) -> Locator:
    """The row of a table with a link of this name."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def card(page: Page, name: str) -> Locator:
    """A figure of the status by its name."""
    return page.locator(".cards > div").filter(has=page.get_by_text(name, exact=True))


def test_types_say_how_many_and_when(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """What the catalog knows and what occurs; a schema opens; counts follow."""
    bus.emit("odd/type ü")
    with served.client() as client:
        made = client.post(
            "/events/types",
            json={"type": "measured", "description": "A measurement", "schema": _SCHEMA},
        )
    assert made.status_code == 201, made.text
    page = open_page(served, "#/types")
    expect(row(page, "odd/type ü")).to_contain_text("not in the catalog")
    expect(row(page, "odd/type ü").get_by_role("cell").nth(1)).to_have_text("1")
    measured = row(page, "measured")
    expect(measured).to_contain_text("A measurement")
    expect(measured.get_by_role("cell").nth(1)).to_have_text("0")
    measured.get_by_role("button", name="Show").click()
    expect(measured.locator(".json").first).to_contain_text("required")
    measured.get_by_role("button", name="Hide").click()
    expect(measured.locator(".json")).to_have_count(0)
    bus.emit("measured", payload={"host": "n1"})
    expect(measured.get_by_role("cell").nth(1)).to_have_text("1")
    row(page, "odd/type ü").get_by_role("link").click()
    expect(page.locator(".events .row")).to_have_count(1)


def test_status_tells_the_servers_figures(served: Server, open_page: OpenPage) -> None:
    """They move with what happens, and a server that is away is not said to be well."""
    page = open_page(served, "#/status")
    expect(card(page, "Store")).to_contain_text("healthy")
    expect(card(page, "This page")).to_contain_text("Connected")
    expect(card(page, "Version")).to_contain_text(__version__)
    expect(card(page, "Newest position")).to_contain_text("0")
    with served.client() as client:
        client.post("/events/", json=[{"type": "a"}] * 1234).raise_for_status()
    expect(card(page, "Newest position")).to_contain_text("1,234")
    expect(card(page, "Events kept")).to_contain_text("1,234 by this server")
    expect(card(page, "Size of the store")).to_contain_text("B")
    expect(card(page, "Live streams")).to_contain_text("1")
    served.kill()
    expect(card(page, "Store")).to_contain_text("away")
    expect(page.get_by_role("alert")).to_contain_text("The server is away")
    served.start()
    expect(card(page, "Store")).to_contain_text("healthy")
    expect(page.get_by_role("alert")).to_have_count(0)
