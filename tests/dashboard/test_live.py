"""The live list: everything shown once, in order, whatever happens; and the truth about it."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.dashboard.looking import wait_until
from tidings import Bus
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server

_HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
_UNDER_LOAD = 1500
_MISSED = 1200
_TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_SCROLLER = "document.querySelector('.events-scroller')"


def numbers(page: Page) -> list[int]:
    """The numbers in the projects of the rows in sight, from above."""
    found: list[int] = page.evaluate(
        "[...document.querySelectorAll('.events .row')].sort((a, b) => a.ariaRowIndex - "
        "b.ariaRowIndex).map(row => +row.querySelector('.project').textContent)"
    )
    return found


def all_numbers(page: Page) -> set[int]:
    """Those of all rows from here down to 0; each row is the next one's neighbour, once."""
    seen: set[int] = set()
    while 0 not in seen:
        here = numbers(page)
        assert here == list(range(here[0], here[-1] - 1, -1))
        seen.update(here)
        page.evaluate(f"{_SCROLLER}.scrollTop += 500; {_TWO_FRAMES}")
    return seen


def emit(bus: Bus, *these: int) -> None:
    """Keep events that can be told apart by their project."""
    bus.emit_many({"type": "job_done", "project": str(n), "payload": {"n": n}} for n in these)


def test_the_empty_page_shows_the_line_to_paste(served: Server, open_page: OpenPage) -> None:
    """What is pasted into a shell as shown appears at once."""
    page = open_page(served)
    line = page.locator(".notice code").inner_text()
    assert line.startswith(f"curl -s {served.url}/events/")
    page.evaluate(
        "fetch('../events/', {method: 'POST', headers: {'content-type': 'application/json'}, "
        'body: \'{"type": "hello"}\'})'
    )
    expect(page.get_by_role("button", name="hello")).to_be_visible()
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()


def test_nothing_is_missing_after_a_killed_server(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """What came while the server was away is there afterwards, once; the page said how it was."""
    emit(bus, 0, 1, 2)
    page = open_page(served)
    expect(page.locator(".row")).to_have_count(3)
    emit(bus, 3)
    expect(page.locator(".row")).to_have_count(4)
    served.kill()
    expect(page.locator(".connection.retrying")).to_be_visible()
    # More than a frame can show, and they come at once.
    emit(bus, *range(4, _MISSED))
    served.start()
    expect(page.locator(".row .project").first).to_have_text(str(_MISSED - 1))
    expect(page.locator(".connection.connected")).to_be_visible()
    emit(bus, _MISSED)
    expect(page.locator(".row .project").get_by_text(str(_MISSED), exact=True)).to_be_visible()
    assert all_numbers(page) == set(range(_MISSED + 1))


def test_pausing_under_load_loses_nothing(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """Scrolling pauses and says so; the list stands still, and has all of it afterwards."""
    emit(bus, *range(300))
    page = open_page(served)
    wait_until(page, "document.querySelectorAll('.row').length > 10")

    def load() -> None:
        with Bus(served.store_url, context=False, deadline=PATIENCE) as other:
            for start in range(300, 300 + _UNDER_LOAD, 50):
                emit(other, *range(start, start + 50))

    writer = Thread(target=load)
    writer.start()
    page.evaluate(f"{_SCROLLER}.scrollTop = 1500")
    paused = page.get_by_role("button", name="Paused")
    expect(paused).to_be_visible()
    before = numbers(page)
    writer.join()
    wait_until(page, "!/· 0 new/.test(document.querySelector('.live-state').textContent)")
    assert numbers(page) == before
    newest = 300 + _UNDER_LOAD - 1
    wait_until(page, f"/{300 + _UNDER_LOAD:,} events/.test(document.body.textContent)")
    paused.click()
    expect(page.locator(".row .project").get_by_text(str(newest), exact=True)).to_be_visible()
    assert all_numbers(page) == set(range(newest + 1))


def test_space_pauses_and_resumes(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """What comes meanwhile is counted, and shown afterwards."""
    emit(bus, 1)
    page = open_page(served)
    expect(page.locator(".row")).to_have_count(1)
    page.keyboard.press("Space")
    emit(bus, 2, 3)
    expect(page.get_by_role("button", name="Paused · 2 new — resume")).to_be_visible()
    assert numbers(page) == [1]
    page.keyboard.press("Space")
    expect(page.locator(".row")).to_have_count(3)


def test_what_events_say_is_text_and_never_runs(
    served: Server, bus: Bus, open_page: OpenPage
) -> None:
    """Markup in every field is shown as it is."""
    bus.emit(_HOSTILE, _HOSTILE, payload={_HOSTILE: _HOSTILE}, source=_HOSTILE)
    page = open_page(served)
    page.locator(".row .type button").click()
    expect(page.locator(".event-panel h2")).to_contain_text(_HOSTILE)
    expect(page).to_have_title("Tidings")
    assert page.locator("img").count() == 0


def test_a_store_that_is_away_is_told(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """The page shows an error that says what to do, and goes on by itself."""
    emit(bus, 1)
    page = open_page(served)
    expect(page.locator(".row")).to_have_count(1)
    served.kill()
    page.get_by_role("link", name="Types").click()
    expect(page.get_by_role("alert")).to_contain_text("The server is away")
    served.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="job_done")).to_be_visible()


def test_a_store_in_place_of_another_is_told(served: Server, bus: Bus, open_page: OpenPage) -> None:
    """Nothing of the other store stays in sight, and what comes to the new one appears."""
    emit(bus, *range(20))
    page = open_page(served)
    wait_until(page, "document.querySelectorAll('.row').length > 10")
    served.kill()
    bus.close()
    for file in served.home.glob("events.db*"):
        file.unlink()
    with Bus(served.store_url, context=False, deadline=PATIENCE) as other:
        emit(other, 100, 101)
        served.start()
        expect(page.get_by_text("another store than before")).to_be_visible()
        expect(page.locator(".row")).to_have_count(2)
        emit(other, 102)
        expect(page.locator(".row")).to_have_count(3)
    assert numbers(page) == [102, 101, 100]
