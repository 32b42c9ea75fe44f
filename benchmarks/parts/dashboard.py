"""The dashboard in a real browser: how soon it can be used, what it loads, and its frames.

A page is opened on a store of 100,000 events, anew each time and with nothing in the browser's
cache; it can be used once it shows rows. For the frames the page is open while 100,000 events come,
so that it holds them all; then 500 a second come, each kept by a POST of another process, and the
time between the frames is taken, first with the list live and at its top, then with somebody
scrolling through it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from benchmarks import sample
from benchmarks.figures import Figure
from benchmarks.rounds import percentile, spread
from benchmarks.servers import tidings_server
from benchmarks.workplace import Workplace
from tidings.bus import Bus

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM = "/usr/bin/chromium"
_ROUNDS = 7
_ROWS = 100_000
_AT_ONCE = 500
_FILL_RATE = 5_000
"""As fast as the page is fed what it is to hold (events/s)."""
_RATE = 500
_SECONDS = 20
_LEAD_SECONDS = 2
_PATIENCE_MS = 120_000

_COUNTED = "document.querySelector('.live-state')?.textContent ?? ''"

# When there is a row, in milliseconds since the address was entered.
_WATCH = """
new MutationObserver((_, observer) => {
  if (document.querySelector('.events .row') === null) return;
  observer.disconnect();
  requestAnimationFrame(() => { window.__usable = performance.now(); });
}).observe(document, { childList: true, subtree: true });
"""
_LOADED = """
[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter(entry => /\\/ui\\/($|#|assets|icon)/.test(entry.name))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)
"""
_FRAMES = """
([milliseconds, step]) => new Promise(resolve => {
  const list = document.querySelector('.events-scroller');
  const frames = [];
  const end = performance.now() + milliseconds;
  let last = performance.now();
  let way = step;
  const frame = now => {
    frames.push(now - last);
    last = now;
    if (way !== 0) {
      const before = list.scrollTop;
      list.scrollTop += way;
      if (list.scrollTop === before) way = -way;
    }
    if (now < end) requestAnimationFrame(frame); else resolve(frames.slice(1));
  };
  requestAnimationFrame(frame);
})
"""


def measure(workplace: Workplace) -> Iterator[Figure]:
    """First the way in, then the frames."""
    url = workplace.new_url("shown")
    rows = workplace.size(_ROWS, 5_000)
    with Bus(url, context=False) as bus:
        _fill(bus, rows, rate=None)
    with tidings_server(workplace, url) as server, sync_playwright() as playwright:
        # Chromium's own sandbox does not work as root, nor in most containers.
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield from _way_in(browser, f"{server.url}/ui/", workplace)
        yield from _frames(browser, f"{server.url}/ui/", url, workplace)
        browser.close()


def _way_in(browser: Browser, page_url: str, workplace: Workplace) -> Iterator[Figure]:
    rows = workplace.size(_ROWS, 5_000)
    seconds, sizes = [], []
    for _ in range(workplace.rounds(_ROUNDS)):
        page = _opened(browser, page_url)
        seconds.append(page.evaluate("window.__usable") / 1000)
        sizes.append(page.evaluate(_LOADED) / 1000)
        page.context.close()
    taken = spread(seconds)
    yield Figure(
        f"dashboard: from its address to rows, nothing cached, {rows:,} events in the store",
        taken,
        at_most=1,
        unit="s",
        detail=f"{len(seconds)} times; longest {max(seconds):.2f} s",
    )
    yield Figure(
        "dashboard: first load, gzipped",
        median(sizes),
        at_most=170,
        unit="kB",
        detail="page, script, styles and icon",
    )


def _frames(
    browser: Browser, page_url: str, store_url: str, workplace: Workplace
) -> Iterator[Figure]:
    rows, seconds = workplace.size(_ROWS, 5_000), workplace.size(_SECONDS, 4)
    page = _opened(browser, page_url)
    with Bus(store_url, context=False) as bus:
        _fill(bus, rows, rate=_FILL_RATE)
    _wait(page, f"{_COUNTED}.includes('{2 * rows:,} events')")
    work = _Work(page)
    for what, step in (("live", 0), ("while scrolling", 97)):
        sender = subprocess.Popen(
            (
                *(sys.executable, "-m", "benchmarks.load.steady"),
                *(page_url.removesuffix("/ui/"), str(_RATE), str(seconds + 2 * _LEAD_SECONDS)),
            ),
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(_LEAD_SECONDS)
        before = work.seconds()
        frames = page.evaluate(_FRAMES, [seconds * 1000, step])
        share = (work.seconds() - before) / seconds
        late, _ = sender.communicate()
        for name, percent, most in (("median", 50, 20), ("p95", 95, 50)):
            yield Figure(
                f"dashboard: frames {what}, {rows:,} rows and {_RATE} events/s, {name}",
                percentile(frames, percent),
                at_most=most,
                unit="ms",
                detail=f"{len(frames):,} frames in {seconds} s, longest {max(frames):.0f} ms; "
                f"the page's thread was at work {share:.0%} of the time; "
                f"the sender was late by {float(late) * 1e3:.0f} ms at most",
            )
    page.context.close()


class _Work:
    """The processor time that a page's main thread has taken."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds(self) -> float:
        told = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in told if each["name"] == "TaskDuration"))


def _opened(browser: Browser, page_url: str) -> Page:
    page = browser.new_context(viewport={"width": 1360, "height": 820}).new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.add_init_script(_WATCH)
    page.goto(page_url)
    _wait(page, "window.__usable > 0")
    return page


def _wait(page: Page, expression: str) -> None:
    """Until a JavaScript expression is true; Playwright's own way is forbidden by the page."""
    end = time.monotonic() + _PATIENCE_MS / 1000
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise TimeoutError(f"{expression} did not become true: {page.evaluate(_COUNTED)!r}")
        page.wait_for_timeout(50)


def _fill(bus: Bus, count: int, rate: int | None) -> None:
    """Keep so many events; at this rate (a second), where one is given."""
    start = time.monotonic()
    for number in range(0, count, _AT_ONCE):
        bus.emit_many(sample.job_fields(each) for each in range(number, number + _AT_ONCE))
        if rate is not None:
            time.sleep(max(0, start + (number + _AT_ONCE) / rate - time.monotonic()))
