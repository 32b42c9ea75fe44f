"""The live stream with the clients people use; each goes on by itself after a kill."""

from __future__ import annotations

import json
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from httpx_sse import connect_sse

from tests.server.conftest import PATIENCE
from tidings import Bus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.server.conftest import Server

WANTED = 6

# Tells the server, by an event, what it has seen.
PAGE = """<!doctype html><script>
const server = location.hash.slice(1), seen = [];
const source = new EventSource(server + "/events/stream?after=0&event=none&type=counted");
source.onmessage = (message) => {
  seen.push([message.lastEventId, JSON.parse(message.data).payload.n]);
  if (seen.length == 3) tell("browser.half");
  if (seen.length == 6) { source.close(); tell("browser.saw"); }
};
const tell = (type) => fetch(server + "/events/", {
  method: "POST",
  headers: {"content-type": "application/json"},
  body: JSON.stringify({type, payload: seen}),
});
</script>"""

NODE = """
const { EventSource } = require("eventsource");
const source = new EventSource(process.argv[1] + "/events/stream?after=0");
let seen = 0;
source.addEventListener("event", (message) => {
  console.log(JSON.stringify([message.lastEventId, JSON.parse(message.data).payload.n]));
  if (++seen == 6) source.close();
});
"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """A page of another origin."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text(PAGE)
    handler = partial(_Quiet, directory=str(tmp_path / "page"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def emit(served: Server, *numbers: int) -> None:
    """Keep some numbered events, beside the server."""
    with Bus(served.store_url) as bus:
        for number in numbers:
            bus.emit("counted", payload={"n": number})


def test_a_browser_resumes(
    server: Callable[..., Server], page: str, browser: Callable[[str], None]
) -> None:
    """EventSource in a page of an allowed origin sees every event once, over a kill."""
    served = server("--cors-origins", page)
    emit(served, 1, 2, 3)
    browser(f"{page}/#{served.url}")
    with Bus(served.store_url) as bus:
        assert bus.wait_for(types="browser.half", after=0, timeout=PATIENCE) is not None
        served.restart()
        emit(served, 4, 5, 6)
        told = bus.wait_for(types="browser.saw", after=0, timeout=PATIENCE)
        assert told is not None
        positions = {event.payload["n"]: event.position for event in bus.read(types="counted")}
    assert told.payload == [[str(positions[n]), n] for n in range(1, WANTED + 1)]


def test_node_resumes(
    server: Callable[..., Server], node: Callable[..., subprocess.Popen[str]]
) -> None:
    """The `eventsource` of npm sees every event once, over a kill."""
    served = server()
    emit(served, 1, 2, 3)
    process = node(NODE, served.url)
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline()) for _ in range(3)]
    served.restart()
    emit(served, 4, 5, 6)
    seen += [json.loads(line) for line in process.stdout]
    assert seen == [[str(n), n] for n in range(1, WANTED + 1)]


def test_httpx_sse_reads_the_stream(server: Callable[..., Server]) -> None:
    """The usual Python client reads past and live events."""
    served = server()
    emit(served, 1, 2)
    with (
        served.client() as client,
        connect_sse(client, "GET", "/events/stream", params={"after": 0, "limit": 3}) as stream,
    ):
        seen = []
        for message in stream.iter_sse():
            seen.append((message.event, message.id, message.json()["payload"]["n"]))
            if len(seen) == 2:
                emit(served, 3)
    assert seen == [("event", str(n), n) for n in (1, 2, 3)]


def test_curl_reads_to_the_head(server: Callable[..., Server]) -> None:
    """`curl -N …?until=head` prints what there is and ends."""
    served = server()
    emit(served, 1, 2)
    done = subprocess.run(
        ["curl", "-sN", f"{served.url}/events/stream?after=0&until=head"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    data = [line for line in done.stdout.splitlines() if line.startswith("data:")]
    assert [json.loads(line[5:])["payload"]["n"] for line in data] == [1, 2]
