"""Asking a page until something is true."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["copied", "wait_until"]

_PAUSE_MS = 20

# Said for two seconds only, which may be over before a test on a busy machine looks.
_NOTE = """() => {
    window.wasCopied = false;
    new MutationObserver(() => {
        window.wasCopied ||= document.body.textContent.includes("Copied");
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def wait_until(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression is true in the page.

    Playwright's own way has the page evaluate a text, which the dashboard's Content-Security-Policy
    forbids.
    """
    end = monotonic() + PATIENCE
    while not page.evaluate(expression):
        if monotonic() > end:
            raise AssertionError(f"{expression} did not become true within {PATIENCE} s")
        page.wait_for_timeout(_PAUSE_MS)


def copied(page: Page, name: str) -> str:
    """Click a button that copies something; what is in the clipboard once the page has said so."""
    expect(page.get_by_text("Copied")).to_have_count(0)
    page.evaluate(_NOTE)
    page.get_by_role("button", name=name, exact=True).click()
    wait_until(page, "window.wasCopied")
    found: str = page.evaluate("navigator.clipboard.readText()")
    return found
