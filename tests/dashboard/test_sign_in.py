"""Signing in where the server asks for keys, and being signed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tidings.server.keys import KeyRing

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server
    from tidings import Bus


def sign_in(page: Page, key: str) -> None:
    """Type a key and press Enter."""
    page.get_by_label("Key", exact=True).fill(key)
    page.keyboard.press("Enter")


def test_one_signs_in_and_out(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """A wrong key is told, a right one opens, and neither stays anywhere; out again."""
    bus.emit("secret_project_began")
    _, token = KeyRing(bus.store).create("ada", ["read"])
    page = open_page(served, "#/jobs")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    sign_in(page, "tid_wrong")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    sign_in(page, f"  {token} ")
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    assert token not in page.url
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert token not in page.evaluate(stored)

    # A key that may read only: what it may not see says so, and what to do.
    page.get_by_role("link", name="Delivery").click()
    expect(page.get_by_text("Only a key with the scope admin")).to_be_visible()
    page.reload()
    page.get_by_role("link", name="Events").click()
    expect(page.get_by_text("secret_project_began")).to_be_visible()
    page.get_by_text("Settings").click()
    expect(page.get_by_text("Signed in with ada")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    expect(page.get_by_text("secret_project_began")).to_have_count(0)


def test_a_revoked_key_shuts_an_open_page(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """It shows nothing more and asks for another key; with that it goes on where it was."""
    ring = KeyRing(bus.store)
    key, token = ring.create("first", ["read"])
    _, other = ring.create("second", ["read", "admin"])
    page = open_page(served, "#/events?status=failure")
    sign_in(page, token)
    bus.emit("job_done", "alpha", "failure")
    expect(page.locator(".row")).to_have_count(1)
    ring.revoke(key.id)
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    expect(page.locator(".row")).to_have_count(0)
    bus.emit("job_done", "beta", "failure")
    sign_in(page, other)
    expect(page.locator(".row .project")).to_have_text(["beta", "alpha"])
    page.get_by_role("link", name="Delivery").click()
    expect(page.get_by_role("heading", name="No webhooks")).to_be_visible()
