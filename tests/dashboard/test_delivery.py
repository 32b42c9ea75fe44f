"""Delivery: how far handlers and webhooks have come, what was given up, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.delivery.webhooks import receivers
from tests.server.conftest import Server
from tests.subscriptions import by_hand
from tidings import Bus
from tidings.subscriptions.leases import Leases
from tidings.subscriptions.registry import Subscriptions
from tidings.subscriptions.worker import Worker
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.dashboard.conftest import OpenPage


@pytest.fixture(autouse=True)
def _attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker listens for the bell often, so that tests are short."""
    monkeypatch.setattr("tidings.subscriptions.worker._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("tidings.subscriptions.duties._BELL_SECONDS", 0.1)


def row(page: Page, table: str, text: str) -> Locator:
    """The row of a part's table that holds this text."""
    return page.get_by_role("region", name=table).last.get_by_role("row").filter(has_text=text)


def cell(row: Locator, name: str) -> Locator:
    """The cell of a row below a column's name."""
    head = row.locator("xpath=ancestor::table").get_by_role("columnheader")
    return row.get_by_role("cell").nth(head.all_inner_texts().index(name))


def test_a_subscription_is_paused_and_its_dead_letters_decided(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """By hand, from the page; a worker that runs does what was decided there."""
    handles = by_hand.Receiver(1, 2)
    leases = Leases(bus.store, beat=0.1, patience=PATIENCE)
    page = open_page(served, "#/delivery")
    expect(page.get_by_text("tidings worker module:bus")).to_be_visible()
    expect(page.get_by_text("Nothing was given up.")).to_be_visible()
    with Worker(bus, [by_hand.handler_of(handles, "told", pauses=[])], leases=leases):
        leases.start()
        by_hand.tell(bus, ("a", 1), ("b", 2), ("c", 3))
        subscription = row(page, "Subscriptions", "notify")
        expect(subscription).to_contain_text("run")
        expect(cell(subscription, "Dead letters")).to_have_text("2")
        expect(cell(subscription, "Behind")).to_have_text("0")
        letters = page.get_by_role("table", name="Dead letters").locator("tbody tr")
        expect(letters).to_have_count(2)
        expect(letters.first).to_contain_text("1 is no good")

        # To discard asks once more; to go elsewhere is no answer.
        letters.first.get_by_role("button", name="Discard").click()
        expect(letters.first.get_by_role("button", name="Really discard?")).to_be_focused()
        letters.last.get_by_role("button", name="Replay").focus()
        letters.first.get_by_role("button", name="Discard", exact=True).click()
        letters.first.get_by_role("button", name="Really discard?").click()
        expect(letters).to_have_count(1)
        expect(letters).to_contain_text("2 is no good")
        handles.refuses.clear()
        letters.get_by_role("button", name="Replay").click()
        expect(page.get_by_text("Nothing was given up.")).to_be_visible()
        assert handles.got == [3, 2]
    leases.close()
    expect(subscription).to_contain_text("nobody runs it")
    subscription.get_by_role("button", name="Pause").click()
    expect(subscription).to_contain_text("paused")
    assert Subscriptions(bus.store).get("notify").paused
    by_hand.tell(bus, ("d", 4))
    expect(cell(subscription, "Behind")).to_have_text("1")
    subscription.get_by_role("button", name="Resume").click()
    expect(subscription).to_contain_text("nobody runs it")
    assert not Subscriptions(bus.store).get("notify").paused


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Server]:
    """A server that may send webhooks to this machine."""
    server = Server(tmp_path / "sender", (), {"TIDINGS_WEBHOOK_NETWORKS": "127.0.0.0/8"})
    yield server
    server.kill()


def test_a_webhook_shows_its_attempts(sender: Server, open_page: OpenPage) -> None:
    """Each with what was answered; it can be paused, and its events are hopped to."""
    with receivers.Receiver(receivers.answer(503, b"come back later")) as receiver:
        page = open_page(sender, "#/delivery")
        expect(page.get_by_text("tidings webhooks add")).to_be_visible()
        with sender.client() as client:
            wishes = {"url": receiver.url, "filters": {"types": ["job_*"]}}
            client.post("/webhooks", json=wishes).raise_for_status()
        webhook = row(page, "Webhooks", receiver.url)
        expect(webhook).to_contain_text("active")
        with Bus(sender.store_url, context=False, deadline=PATIENCE) as bus:
            bus.emit("job_done")
        webhook.get_by_role("button", name="Attempts").click()
        attempt = page.get_by_role("table", name="Attempts, newest first").locator("tbody tr")
        expect(attempt.first).to_contain_text("503")
        expect(attempt.first).to_contain_text("come back later")
        expect(webhook).to_contain_text("failing")
        webhook.get_by_role("button", name="Pause").click()
        expect(webhook.get_by_role("button", name="Resume")).to_be_visible()
        receiver.answer = receivers.OK
        webhook.get_by_role("button", name="Resume").click()
        expect(webhook.get_by_role("button", name="Pause")).to_be_visible()
        attempt.first.get_by_role("link", name="job_done").click()
        expect(page.get_by_role("heading", name="job_done")).to_be_visible()
