"""NDJSON: lines of any number, kept group by group while they come."""

from __future__ import annotations

import json
import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tidings.store import open_store
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.server.conftest import Server
    from tidings.store.base import Store

NDJSON = {"content-type": "application/x-ndjson"}


def lines(project: str, numbers: range, **fields: Any) -> bytes:
    """Events told apart by their payload, one a line."""
    return b"".join(
        json.dumps({"type": "x", "project": project, "payload": n, **fields}).encode() + b"\n"
        for n in numbers
    )


def kept(store: Store, project: str) -> list[Any]:
    """The payloads that were kept for a project, in order."""
    return [event.payload for event in store.read(Query(project=project))]


@pytest.mark.parametrize(
    "name", ["application/x-ndjson", "application/ndjson", "application/jsonl"]
)
def test_every_line_has_its_place(client: httpx.Client, store: Store, name: str) -> None:
    """201, and the places in order, under each of the names the format goes by."""
    headers = {"content-type": f"{name}; charset=utf-8"}
    answer = client.post("/events/", content=lines(name, range(2500)), headers=headers)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["kept"], body["failed"], body["complete"]) == (2500, 0, True)
    assert [each["position"] for each in body["results"]] == [
        event.position for event in store.read(Query(project=name))
    ]
    assert kept(store, name) == list(range(2500))


def test_blank_lines_and_line_ends(client: httpx.Client, store: Store) -> None:
    """Blank lines count as lines and not as events; CR LF and a missing last line end are fine."""
    body = b'\n{"type":"x","project":"blank","payload":0}\r\n \r\n\n{"typ":1}\n{"type":"x",'
    body += b'"project":"blank","payload":1}'
    answer = client.post("/events/", content=body, headers=NDJSON)
    assert answer.status_code == 207
    (problem,) = [each["problem"] for each in answer.json()["results"] if "problem" in each]
    assert (problem["index"], problem["line"], problem["status"]) == (1, 5, 422)
    assert kept(store, "blank") == [0, 1]


def test_no_lines(client: httpx.Client) -> None:
    """An empty body holds no events, and none of them failed."""
    answer = client.post("/events/", content=b"", headers=NDJSON)
    assert answer.status_code == 201
    assert answer.json() == {"kept": 0, "failed": 0, "complete": True, "results": []}


def test_chunks_may_end_anywhere(client: httpx.Client, store: Store) -> None:
    """Lines are cut at line ends, wherever the pieces in which they come end."""
    body = lines("chunks", range(40), text="Ünïcode 🎉".encode().decode(), id=None)
    body = body.replace(b'"text"', b'"user_id"')
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    answer = client.post("/events/", content=iter(pieces), headers=NDJSON)
    assert answer.status_code == 201, answer.text
    assert kept(store, "chunks") == list(range(40))


def test_a_line_that_is_too_long(client: httpx.Client, store: Store) -> None:
    """It is refused with 413, and what follows it is read."""
    body = lines("long", range(1)) + b"[" * (3 << 20) + b"\n" + lines("long", range(1, 2))
    answer = client.post("/events/", content=body, headers=NDJSON)
    assert answer.status_code == 207
    problem = answer.json()["results"][1]["problem"]
    assert (problem["status"], problem["index"], problem["line"]) == (413, 1, 2)
    assert kept(store, "long") == [0, 1]


@pytest.mark.parametrize(
    "line", [b"\xff", b"[" * 100_000, b"NaN", b'{"type":"x","type":"y"}', b"{"]
)
def test_a_line_that_is_no_json(client: httpx.Client, store: Store, line: bytes) -> None:
    """Nothing that a line may hold harms the others."""
    project = f"no-json-{line[:20]!r}"
    body = lines(project, range(1)) + line + b"\n" + lines(project, range(1, 2))
    answer = client.post("/events/", content=body, headers=NDJSON)
    assert answer.status_code == 207
    assert answer.json()["results"][1]["problem"]["status"] == 422
    assert kept(store, project) == [0, 1]


def test_lines_cannot_be_all_or_none(client: httpx.Client) -> None:
    """They are kept while they come."""
    for query in ("atomic=true", "expected_version=0"):
        answer = client.post(f"/events/?{query}", content=lines("a", range(1)), headers=NDJSON)
        assert answer.status_code == 422
        assert "JSON array" in answer.json()["detail"]


def test_a_store_that_fails_midway(server: Any) -> None:
    """503 says how many lines were dealt with; from there a client can go on, and misses none."""
    served: Server = server(env={"TIDINGS_DATABASE_TIMEOUT": "0.2"})
    with (
        served.client() as client,
        open_store(served.store_url) as store,
        closing(sqlite3.connect(served.home / "events.db", isolation_level=None)) as other,
    ):
        everything = lines("midway", range(1500)).splitlines(keepends=True)

        def body() -> Iterator[bytes]:
            yield b"".join(everything[:1000])
            head = 0
            while head < 1000:
                head = store.wait(head, 10)
            other.execute("BEGIN IMMEDIATE")
            yield b"".join(everything[1000:])

        answer = client.post("/events/", content=body(), headers=NDJSON)
        other.execute("ROLLBACK")
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        problem = answer.json()
        assert (problem["kept"], problem["failed"], problem["done"]) == (1000, 0, 1000)
        rest = b"".join(everything[problem["done"] :])
        assert client.post("/events/", content=rest, headers=NDJSON).status_code == 201
        assert kept(store, "midway") == list(range(1500))


def test_a_client_that_goes_away(server: Any) -> None:
    """What was kept stays, what was not whole is not kept, and others are served."""
    served: Server = server()
    body = lines("gone", range(1500))[:-10]
    head = f"POST /events/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body) + 10}\r\n"
    with open_store(served.store_url) as store:
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(f"{head}Content-Type: application/x-ndjson\r\n\r\n".encode() + body)
            position = 0
            while position < 1000:
                position = store.wait(position, 10)
        with served.client() as client:
            assert client.post("/events/", json={"type": "after"}).status_code == 201
        assert kept(store, "gone") == list(range(1000))
