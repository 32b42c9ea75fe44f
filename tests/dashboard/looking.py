"""Asking a page until something is true."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["wait_until"]

_PAUSE_MS = 20


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
