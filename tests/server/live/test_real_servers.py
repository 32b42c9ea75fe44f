"""The live stream of real servers: killed, drained, and read by clients that do not read."""

from __future__ import annotations

import json
import resource
import selectors
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.conftest import PATIENCE
from tests.server.live.wire_events import Message, Reader
from tidings import Bus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.server.conftest import Server

IMPATIENT = str(Path(__file__).parent / "impatient")


def emit(served: Server, *types: str, size: int = 0, **fields: Any) -> None:
    """Keep events beside the server, in one write."""
    with Bus(served.store_url, context=False, deadline=PATIENCE) as bus:
        bus.emit_many([{"type": t, "payload": {"text": "x" * size}, **fields} for t in types])


def stream(served: Server, query: str) -> list[Message]:
    """All messages of a stream that ends."""
    with served.client() as client:
        answer = client.get(f"/events/stream?{query}")
    assert answer.status_code == 200, answer.text
    return Reader().feed(answer.content)


def ids(messages: Sequence[Message]) -> list[int]:
    """The positions of messages."""
    return [int(message.last_id) for message in messages]


def connect(served: Server, target: str, *, buffer: int = 0) -> socket.socket:
    """A socket on which the stream was asked for."""
    opened = socket.socket()
    if buffer:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    opened.settimeout(PATIENCE)
    opened.connect(("127.0.0.1", served.port))
    opened.sendall(f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    return opened


def everything_left(opened: socket.socket) -> bytes:
    """What comes until the server's end of the connection, or until it is cut off."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := opened.recv(65536):
            received += chunk
    return received


def body_of(answer: bytes) -> bytes:
    """What came of a chunked body, which may have been cut off anywhere."""
    _, _, rest = answer.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size or b"0", 16)]
        rest = rest[int(size or b"0", 16) + 2 :]
    return body


def memory(served: Server) -> int:
    """What the server's process takes (bytes)."""
    status = Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


# What is asked for -------------------------------------------------------------------------------


def test_the_answer_is_an_event_stream_that_nobody_holds_back(shared_server: Server) -> None:
    """Its type, and the headers that keep caches and proxies from collecting it."""
    with (
        shared_server.client() as client,
        client.stream("GET", "/events/stream?limit=0") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert b"".join(answer.iter_raw()).startswith(b"retry: ")


def test_a_cursor_that_is_no_number_is_refused(client: httpx.Client) -> None:
    """As a problem that names it."""
    answer = client.get("/events/stream", headers={"Last-Event-ID": "abc"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "Last-Event-ID 'abc'" in answer.json()["detail"]


@pytest.fixture(scope="module")
def history(shared_server: Server) -> Callable[[str], list[int]]:
    """Gives the places, 1 to 8, of those of eight known events that a query selects."""
    with Bus(shared_server.store_url) as bus:
        before = bus.store.head()
    emit(shared_server, "job.started", "job.done", project="one")
    emit(shared_server, "job.failed", "note", project="two", status="failure", source="ci")
    emit(shared_server, "w", "w", aggregate_type="workflow", aggregate_id="w1", size=3)
    emit(shared_server, "tidings.webhook.disabled", "last", correlation_id="w1")

    def selected(query: str) -> list[int]:
        found = stream(shared_server, f"after={before}&until=head&{query}")
        return [position - before for position in ids(found)]

    return selected


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("", [1, 2, 3, 4, 5, 6, 8]),
        ("limit=3", [1, 2, 3]),
        ("type=job.*", [1, 2, 3]),
        ("type=job.*&not.type=job.failed", [1, 2]),
        ("type=tidings.*&type=last", [7, 8]),
        ("project=two&status=failure", [3, 4]),
        ("source=ci&limit=1", [3]),
        ("aggregate_type=workflow_aggregate", [5, 6]),
        ("event_type=WorkflowEvent", [5, 6]),
        ("aggregate_type=event_aggregate&correlation_id=w1", [8]),
        ("payload.text=xxx", [5, 6]),
        ("contains=xxx", [5, 6]),
        ("since=2200-01-01T00:00:00Z", []),
        ("type=none", []),
    ],
)
def test_filters_are_those_of_a_query(
    history: Callable[[str], list[int]], query: str, places: list[int]
) -> None:
    """And a stream asked to end at the head or after some events does."""
    assert history(query) == places


def test_before_ends_the_stream(server: Callable[..., Server]) -> None:
    """Ahead of that position, also where the last events were not wanted."""
    served = server()
    emit(served, *["tick"] * 5, "other", "tick")
    assert ids(stream(served, "after=1&before=4")) == [2, 3]
    assert ids(stream(served, "after=3&before=7&type=tick")) == [4, 5]
    names = {message.event for message in stream(served, "after=0&until=head&event=type")}
    assert names == {"tick", "other"}
    (message,) = stream(served, "after=0&event=none&limit=1")
    assert (message.event, json.loads(message.data)["position"]) == ("message", 1)


# Nothing skipped, nothing repeated ---------------------------------------------------------------


class Tail:
    """A client that comes back with its last id however often the server dies."""

    def __init__(self, served: Server, query: str, up: threading.Event, wanted: int) -> None:
        self.seen: list[int] = []
        self.progress = threading.Condition()
        self._reader = Reader()
        self._served, self._query, self._up, self._wanted = served, query, up, wanted
        # One that never sees all it wants must not keep a failed run from its end.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until it has seen so many."""
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.seen) >= count, PATIENCE)

    def join(self) -> None:
        """Wait until it has seen all it wants."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"saw {len(self.seen)} of {self._wanted}"

    def _run(self) -> None:
        last_id = "0"
        while len(self.seen) < self._wanted:
            self._up.wait()
            # What a dead server has not finished is thrown away, as the standard says.
            self._reader = Reader()
            try:
                self._read(last_id)
            except httpx.TransportError:
                last_id = self._reader.last_id or last_id

    def _read(self, last_id: str) -> None:
        headers = {"Last-Event-ID": last_id}
        url = f"/events/stream?{self._query}"
        with (
            self._served.client() as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            for chunk in answer.iter_raw():
                messages = self._reader.feed(chunk)
                with self.progress:
                    self.seen += ids(messages)
                    self.progress.notify_all()
                if len(self.seen) >= self._wanted:
                    return


def test_a_tail_misses_and_repeats_nothing_while_the_server_is_killed(
    server: Callable[..., Server],
) -> None:
    """Beside racing writers, over kill -9 and restart on the same port, with and without filter."""
    served = server()
    up = threading.Event()
    up.set()
    writers, rounds, burst = 3, 60, 5
    everything = writers * rounds * burst
    tails = [
        Tail(served, "", up, everything),
        Tail(served, "type=kind-1", up, rounds * burst),
    ]

    def write(kind: int) -> None:
        with Bus(served.store_url, context=False, deadline=PATIENCE) as bus:
            for _ in range(rounds):
                bus.emit_many([{"type": f"kind-{kind}"}] * burst)

    threads = [threading.Thread(target=write, args=(kind,)) for kind in range(writers)]
    for thread in threads:
        thread.start()
    for part in (1, 2, 3):
        tails[0].wait_for(everything * part // 5)
        up.clear()
        served.restart()
        up.set()
    for thread in threads:
        thread.join()
    for tail in tails:
        tail.join()

    with Bus(served.store_url) as bus:
        assert tails[0].seen == [event.position for event in bus.read()]
        assert tails[1].seen == [event.position for event in bus.read(types="kind-1")]


def test_who_has_seen_all_is_told_to_stay_away(server: Callable[..., Server]) -> None:
    """An EventSource that comes back for what is there ends, where nothing is left."""
    served = server()
    emit(served, "one", "two")
    with served.client() as client:
        for last, status in (("1", 200), ("2", 204)):
            answer = client.get("/events/stream?until=head", headers={"last-event-id": last})
            assert answer.status_code == status


def test_what_was_redacted_is_not_given_from_memory(server: Callable[..., Server]) -> None:
    """A stream that begins after a redaction shows no payload, though a stream had it before."""
    served = server()
    with served.client() as client, client.stream("GET", "/events/stream") as other:
        lines = other.iter_lines()
        assert next(lines)  # it is followed from here on
        emit(served, "said", size=10)
        while "said" not in next(lines):
            pass
        assert client.post("/log/redact", json={"query": {"types": ["said"]}}).status_code == 200
        (message,) = stream(served, "after=0&limit=1")
    event = json.loads(message.data)
    assert (event["redacted"], event["payload"]) == (True, None)


# Clients that do not read ------------------------------------------------------------------------


def test_a_client_that_does_not_read_is_let_go_and_resumes(server: Callable[..., Server]) -> None:
    """It is cut off and counted, and with the last id it saw it gets the rest."""
    served = server(env={"PYTHONPATH": IMPATIENT})
    emit(served, *["big"] * 100, size=200_000)
    with (
        served.client() as client,
        connect(served, "/events/stream?after=0", buffer=4096) as opened,
    ):
        while "tidings_slow_clients_total 1.0" not in client.get("/metrics").text:
            pass
        received = everything_left(opened)
    reader = Reader()
    seen = ids(reader.feed(body_of(received)))
    assert not received.endswith(b"0\r\n\r\n"), "a client must not believe that this is all"
    # From a server that has patience: this client reads, but may be held up.
    patient = server("--no-deliver", env={"TIDINGS_URL": served.store_url})
    rest = ids(stream(patient, f"until=head&last_event_id={reader.last_id or 0}"))
    assert [*seen, *rest] == list(range(1, 101))


def test_a_long_backlog_for_slow_clients_costs_no_memory(server: Callable[..., Server]) -> None:
    """Forty clients that do not read 28 MB each leave the server as small as it was."""
    served = server()
    for _ in range(10):
        emit(served, *["big"] * 1000, size=1000)
    assert len(stream(served, "after=0&until=head")) == 10_000
    before = memory(served)
    slow = [connect(served, "/events/stream?after=0", buffer=4096) for _ in range(40)]
    for each in slow:
        assert each.recv(100)
    assert len(stream(served, "after=0&until=head")) == 10_000
    grown = memory(served) - before
    for each in slow:
        each.close()
    assert grown < 40 * 1024 * 1024


# Stopping ----------------------------------------------------------------------------------------


@pytest.fixture
def many_files() -> Iterator[None]:
    """Lets this process and its children open some thousand files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_server_stops_with_a_thousand_streams_open(server: Callable[..., Server]) -> None:
    """Every client is told when to come back, and its answer ends properly."""
    served = server()
    opened = [connect(served, "/events/stream") for _ in range(1000)]
    said = dict.fromkeys(opened, b"")
    with selectors.DefaultSelector() as selector:
        for each in opened:
            selector.register(each, selectors.EVENT_READ)
        _read_until(selector, said, lambda text: b"id: 0" in text)
        served.process.send_signal(signal.SIGTERM)
        _read_until(selector, said, lambda text: text.endswith(b"0\r\n\r\n"))
    assert served.process.wait(PATIENCE) == 0
    waits = [int(text.rpartition(b"retry: ")[2].split(b"\n")[0]) for text in said.values()]
    assert min(waits) >= 500
    assert max(waits) <= 5000
    assert len(set(waits)) > 100
    for each in opened:
        each.close()


def _read_until(
    selector: selectors.BaseSelector,
    said: dict[socket.socket, bytes],
    enough: Callable[[bytes], bool],
) -> None:
    """Read all sockets until each has said enough."""
    left = {each for each, text in said.items() if not enough(text)}
    while left:
        ready = selector.select(PATIENCE)
        assert ready, f"{len(left)} streams say nothing"
        for key, _ in ready:
            each = key.fileobj
            assert isinstance(each, socket.socket)
            chunk = each.recv(65536)
            said[each] += chunk
            assert chunk or enough(said[each]), "a stream was cut off"
            if enough(said[each]):
                left.discard(each)
            if not chunk:
                selector.unregister(each)
