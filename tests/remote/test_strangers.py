"""What a remote store does with answers that no Tidings server gives."""

from __future__ import annotations

import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import Server
from tidings.errors import NotAllowed, OutcomeUnknown, StoreUnavailable
from tidings.event import Event
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.store.remote import RemoteStore

    Opened = Callable[..., RemoteStore]


class Stranger(ThreadingHTTPServer):
    """A web server that gives everybody the same answer, and remembers who asked for what."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = status, body, headers
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stranger

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body, headers = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the name BaseHTTPRequestHandler looks for

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Callable[..., Stranger]]:
    """Starts web servers of all kinds."""
    started: list[tuple[Stranger, Thread]] = []

    def start(status: int, body: bytes = b"", **headers: str) -> Stranger:
        server = Stranger(status, body, headers)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>It works!</html>"),
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"head": "many", "first": null}'),
        (200, b"\xff\xfe"),
        (404, b"<html>"),
        (400, b'{"type": 7}'),
        (500, b""),
        (502, b"bad gateway"),
    ],
)
def test_another_server_is_told(
    opened: Opened, stranger: Callable[..., Stranger], status: int, body: bytes
) -> None:
    """What answers otherwise than Tidings is named by its URL, and keeps nothing."""
    server = stranger(status, body)
    store = opened(server.url)
    for call in (store.head, lambda: store.read(Query()), lambda: store.get("k")):
        with pytest.raises(StoreUnavailable, match=server.url):
            call()
    with pytest.raises((StoreUnavailable, OutcomeUnknown), match=server.url):
        store.append([Event("x")])


def test_a_proxy_that_lost_the_answer_leaves_a_doubt(
    opened: Opened, stranger: Callable[..., Stranger]
) -> None:
    """After a 500, 502 or 504 nobody knows whether an append was kept; a 503 says it was not."""
    for status in (500, 502, 504):
        with pytest.raises(OutcomeUnknown):
            opened(stranger(status).url).append([Event("x")])
    for status in (503, 429, 408):
        with pytest.raises(StoreUnavailable):
            opened(stranger(status).url).append([Event("x")])


def test_a_redirect_is_not_followed(opened: Opened, stranger: Callable[..., Stranger]) -> None:
    """The key is not carried elsewhere; the error says that the URL leads elsewhere."""
    elsewhere = stranger(200, b"{}")
    first = stranger(308, Location=f"{elsewhere.url}/log/append")
    with pytest.raises(StoreUnavailable, match="not followed"):
        opened(first.url, key="tid_secret").append([Event("x")])
    assert (first.asked, elsewhere.asked) == ([("/log/append", "Bearer tid_secret")], [])


def test_a_refusal_names_the_remedy_and_not_the_key(
    opened: Opened, stranger: Callable[..., Stranger]
) -> None:
    """Whoever is not let in is told which variable holds the key."""
    for status in (401, 403):
        server = stranger(status, b'{"detail": "no"}')
        with pytest.raises(NotAllowed, match="TIDINGS_KEY") as caught:
            opened(server.url, key="tid_secret").append([Event("x")])
        assert "tid_secret" not in str(caught.value)


def test_a_path_prefix_is_asked_below(opened: Opened, stranger: Callable[..., Stranger]) -> None:
    """Behind a proxy every request goes below the URL's path."""
    server = stranger(200, b'{"head": 7, "first": 1}')
    assert opened(f"{server.url}/tidings/").head() == 7
    assert server.asked == [("/tidings/log/head", None)]


def test_tls_is_checked(opened: Opened, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over https the certificate must be known: the one that SSL_CERT_FILE names is."""
    certificate, key = own_home / "cert.pem", own_home / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
        timeout=60,
    )  # fmt: skip
    options = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    server = Server(own_home / "served", options, {})
    try:
        url = f"https://localhost:{server.port}"
        with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
            opened(url).head()
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate))
        store = opened(url)
        assert [store.append([Event("x")])[0].position for _ in range(3)] == [1, 2, 3]
        server.restart()
        assert (store.head(), store.wait(2)) == (3, 3)
    finally:
        server.kill()
