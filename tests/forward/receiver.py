"""A real cloud address for the tests: it notes what it is sent, and answers as it is told."""

from __future__ import annotations

import json
from errno import EADDRINUSE
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Any

from tests.server.conftest import free_port
from tidings.forward import waiting
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.bus import Bus
    from tidings.forward import Forwarded
    from tidings.store.base import Store


def settled(bus: Bus) -> None:
    """Wait until a bus has nothing to forward now, however slow this machine is."""
    forwarding = bus._keeping._forwarding
    assert forwarding is not None
    assert forwarding.wait(PATIENCE)


def send_waiting(store: Store, **options: Any) -> Forwarded:
    """As that of `tidings.forward`, however slow this machine is."""
    return waiting.send_waiting(store, seconds=PATIENCE, **options)


def _on_a_free_port(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A server; another process may take the port that was found free."""
    while True:
        try:
            return ThreadingHTTPServer(("127.0.0.1", free_port()), handler)
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise


class Receiver:
    """Listens on a port of its own.

    Attributes:
        url: where.
        answer: what it answers: a status, `hang` until the test ends, or `close` without a word.
        held: where this is given, each answer waits for it.
        headers: what its answers have beside.
        requests: what came: headers in lower case, and the body.
    """

    def __init__(self, answer: int | str = 202) -> None:
        self.answer = answer
        self.held: Event | None = None
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._came = Condition()
        self._over = Event()
        self._server = _on_a_free_port(self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/events/"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def await_requests(self, count: int) -> None:
        """Wait until so many have come."""
        self.await_that(lambda: len(self.requests) >= count, f"{count} requests")

    def await_that(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds that changes with requests."""
        with self._came:
            assert self._came.wait_for(holds, PATIENCE), f"{what} did not come: {self.requests}"

    def ids(self) -> list[str]:
        """The ids under which events came, in order."""
        return [headers["idempotency-key"] for headers, _ in self.requests]

    def close(self) -> None:
        """Let go of everything that hangs, and of the port."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        answer, held = self.answer, self.held
        with self._came:
            self.requests.append((headers, json.loads(body)))
            self._came.notify_all()
        if answer == "hang":
            self._over.wait(PATIENCE)
        if held is not None:
            held.wait(PATIENCE)
        handler.close_connection = True
        if not isinstance(answer, int):
            return
        handler.send_response(answer)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"so it is")
