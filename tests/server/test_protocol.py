"""Whether connections are bounded: slow heads, large heads, what is no HTTP at all."""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.server.conftest import PATIENCE, Server

# A server with our protocol and an app of no consequence, whose clients have a moment for a head.
IMPATIENT = """
import socket, sys, uvicorn
from tidings.server import protocol
protocol.HEAD_SECONDS = float(sys.argv[1])

async def app(scope, receive, send):
    if scope["path"] == "/abort":
        scope["extensions"]["tidings.abort"]()
        return
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})

listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, http=protocol.Protocol, lifespan="off", log_level="critical")
uvicorn.Server(config).run([listener])
"""


def started(seconds: float) -> Iterator[int]:
    """A server whose clients have so long for a head; its port."""
    command = [sys.executable, "-c", IMPATIENT, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="module")
def impatient() -> Iterator[int]:
    """The port of a server that lets slow clients go at once."""
    yield from started(2.0)


def connected(port: int) -> socket.socket:
    """A connection to a server of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def exchanged(port: int, data: bytes) -> bytes:
    """What a server answers to these bytes, until it closes the connection."""
    with connected(port) as connection:
        connection.sendall(data)
        return all_of(connection)


def problem_in(answer: bytes) -> tuple[int, str]:
    """The status and the kind of the problem a raw answer holds."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    problem = json.loads(body)
    assert int(head.split()[1]) == problem["status"]
    return problem["status"], problem["type"].rpartition(":")[2]


def trickled(port: int, data: bytes) -> bytes:
    """What a server answers to a client that sends these bytes over and over, one at a time."""
    with connected(port) as connection:
        sent = 0
        while not select.select([connection], [], [], 0.02)[0]:
            connection.sendall(data[sent % len(data) : sent % len(data) + 1])
            sent += 1
            assert sent < PATIENCE / 0.02, "it is not let go"
        return all_of(connection)


def test_five_hundred_slow_clients_stop_nobody(shared_server: Server) -> None:
    """While 500 clients have sent a byte each and no more, others are served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with ExitStack() as slow, shared_server.client() as client:
            for _ in range(500):
                connection = slow.enter_context(connected(shared_server.port))
                connection.sendall(b"G")
            assert client.post("/events/", json={"type": "kept"}).status_code == 201
            assert client.get("/health/ready").status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_sends_a_byte_now_and_then_is_let_go(impatient: int) -> None:
    """Bytes that come one by one do not prolong the time there is for a head."""
    answer = trickled(impatient, b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000)
    assert problem_in(answer) == (408, "request-timeout")


def test_line_breaks_are_no_request(impatient: int) -> None:
    """Who sends nothing but line breaks, which HTTP ignores, is let go too."""
    try:
        received = trickled(impatient, b"\r\n")
    except ConnectionResetError:
        received = b""  # a byte was under way when the server closed
    assert received == b""


def test_a_client_that_says_nothing_is_let_go(impatient: int) -> None:
    """A connection on which nothing comes is closed."""
    assert exchanged(impatient, b"") == b""


def test_a_slow_second_request_is_let_go(impatient: int) -> None:
    """The bound holds for each request of a connection, not only for the first."""
    whole = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    first, _, second = exchanged(impatient, whole + whole[:10]).partition(b"\r\n\r\nok")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert problem_in(second) == (408, "request-timeout")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
    ],
)
def test_a_large_head_is_refused(shared_server: Server, head: bytes) -> None:
    """One header, many headers or a path beyond the bound are answered with 431."""
    assert problem_in(exchanged(shared_server.port, head)) == (431, "headers-too-large")


def test_a_head_without_end_is_refused(shared_server: Server) -> None:
    """A header that goes on and on is refused before it is complete."""
    with connected(shared_server.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(b"a" * 1000)
        assert problem_in(all_of(connection)) == (431, "headers-too-large")


def test_a_large_body_is_no_large_head(client: httpx.Client) -> None:
    """A body that comes together with its head does not count as head."""
    event = {"type": "kept", "payload": {"text": "a" * 200_000}}
    assert client.post("/events/", json=event).status_code == 201


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\xa5", b"GET / HTTP/x\r\n\r\n", b"GET : HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_refused(shared_server: Server, data: bytes) -> None:
    """A TLS greeting or a broken request line is answered with a problem."""
    assert problem_in(exchanged(shared_server.port, data)) == (400, "malformed-request")


def test_a_wish_for_another_protocol_is_ignored(shared_server: Server) -> None:
    """Who asks for WebSocket or HTTP/2 gets a plain answer, and the connection ends with it."""
    for wish in (b"websocket", b"h2c"):
        head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        answer = exchanged(shared_server.port, head + b"Upgrade: " + wish + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b'{"status":"live"}')


def test_the_app_can_let_go_of_a_client(impatient: int) -> None:
    """What the app finds in `tidings.abort` ends the connection at once."""
    with connected(impatient) as connection:
        connection.sendall(b"GET /abort HTTP/1.1\r\nHost: here\r\n\r\n")
        try:
            received = all_of(connection)
        except ConnectionResetError:
            received = b""
    assert received == b""  # else uvicorn would have answered 500 for an app that says nothing


def test_trailers_are_no_headers(shared_server: Server) -> None:
    """What follows a body can neither give a key nor name the request (RFC 9110, section 6.5.1)."""
    head = b"POST /events/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = b'e\r\n{"type": "x1"}\r\n0\r\nX-Request-ID: forged\r\n\r\n'
    rest = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = exchanged(shared_server.port, head + rest + body)
    assert answer.startswith(b"HTTP/1.1 201")
    assert b"forged" not in answer


def test_endless_trailers_are_cut_off(shared_server: Server) -> None:
    """They are bounded as heads are."""
    head = b"POST /session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    # The body's end never comes, so that only the bound can end the connection.
    assert b"HTTP/1.1 200" not in exchanged(shared_server.port, head + b"a: b\r\n" * 20_000)


def test_nonsense_after_a_request_does_not_cost_its_answer(shared_server: Server) -> None:
    """A whole request is answered, whatever the client sends behind it."""
    answer = exchanged(
        shared_server.port, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n\x00\x01"
    )
    assert answer.startswith(b"HTTP/1.1 200")
