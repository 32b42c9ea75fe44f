"""`Idempotency-Key`: a request that is sent again repeats nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tidings.bus import Bus
from tidings.server.ingest.idempotency import Idempotency
from tidings.store import open_store
from tidings.store.query import Query

if TYPE_CHECKING:
    import httpx

    from tests.server.conftest import Server
    from tidings.store.base import Store

NDJSON = {"content-type": "application/x-ndjson"}


def post(client: httpx.Client, key: str, body: Any, path: str = "/events/") -> httpx.Response:
    """Send this body under a key."""
    return client.post(path, json=body, headers={"idempotency-key": key})


def count(store: Store, project: str) -> int:
    """How many events were kept for a project."""
    return len(list(store.read(Query(project=project))))


def assert_reused(answer: httpx.Response) -> None:
    """The key belongs to another request."""
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:tidings:problem:idempotency-key-reused"


def test_one_event(client: httpx.Client, store: Store) -> None:
    """The same answer again, and one event; its id is a UUIDv8, as RFC 9562 has them."""
    event = {"type": "x", "project": "once"}
    first, again = post(client, "once", event), post(client, "once", event)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert UUID(first.json()["id"]).version == 8
    assert UUID(first.json()["id"]).variant == "specified in RFC 4122"
    assert count(store, "once") == 1
    assert post(client, "another", event).json()["position"] > first.json()["position"]


def test_another_body_is_refused(client: httpx.Client, store: Store) -> None:
    """422, also where the events would be the same but for what is not compared."""
    assert post(client, "body", {"type": "x", "project": "body"}).status_code == 201
    assert_reused(post(client, "body", {"type": "y", "project": "body"}))
    assert_reused(post(client, "body", {"type": "x", "project": "body", "context": {"a": 1}}))
    assert count(store, "body") == 1


def test_an_own_id_is_left_alone(client: httpx.Client, store: Store) -> None:
    """Events that have ids repeat nothing by themselves."""
    event = {"type": "x", "project": "own", "id": "own-id", "timestamp": "2026-01-01T00:00:00Z"}
    assert post(client, "own", event).json()["id"] == "own-id"
    assert post(client, "own", event).json()["id"] == "own-id"
    (kept,) = store.read(Query(project="own"))
    assert kept.extensions == {}


@pytest.mark.parametrize("kind", ["agent", "workflow", "system"])
def test_the_peers_routes(client: httpx.Client, store: Store, kind: str) -> None:
    """A generated aggregate id is the same again too, else a retry would contradict itself."""
    event = {"name": "x", "project": f"retry-{kind}"}
    answers = [
        client.post(f"/events/emit/{kind}", json=event, headers={"idempotency-key": f"r-{kind}"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert count(store, f"retry-{kind}") == 1
    event["attributes"] = {"other": 1}  # type: ignore[assignment]  # any JSON goes there
    headers = {"idempotency-key": f"r-{kind}"}
    assert_reused(client.post(f"/events/emit/{kind}", json=event, headers=headers))


def test_an_array(client: httpx.Client, store: Store) -> None:
    """Equal events of one request are two events; the request again is none more."""
    body = [{"type": "x", "project": "array"}, {"type": "x", "project": "array"}]
    first, again = post(client, "array", body), post(client, "array", body)
    assert first.json() == again.json()
    assert len({each["id"] for each in first.json()["results"]}) == 2
    assert count(store, "array") == 2


@pytest.mark.parametrize("path", ["/events/", "/events/?atomic=true"])
def test_another_array_keeps_nothing(client: httpx.Client, store: Store, path: str) -> None:
    """Not even the events that the first request had not."""
    event = {"type": "x", "project": path}
    assert post(client, path, [event], path).status_code == 201
    assert_reused(post(client, path, [event, event, event], path))
    assert_reused(post(client, path, [{**event, "payload": 1}, event], path))
    assert count(store, path) == 1


def test_another_array_whose_events_are_refused_one_by_one(server: Any) -> None:
    """Refusals that come before the store's do not hide that the key was used before."""
    served: Server = server(env={"TIDINGS_SCHEMA_CHECK": "strict"})
    with Bus(served.store_url) as bus:
        bus.register_type("strict", schema={"type": "object", "required": ["n"]})
    bad, good = {"type": "strict", "project": "p"}, {"type": "x", "project": "p"}
    with served.client() as client, open_store(served.store_url) as store:
        first = post(client, "strict", [bad, good])
        assert (first.status_code, first.json()["kept"]) == (207, 1)
        assert first.json()["results"][0]["problem"]["type"].endswith(":schema-violation")
        assert post(client, "strict", [bad, good]).json() == first.json()
        assert_reused(post(client, "strict", [bad, good, good]))
        assert count(store, "p") == 1
        alone = client.post("/events/", json=bad)
        assert (alone.status_code, alone.json()["errors"][0]["field"]) == (422, "payload")


def test_an_expected_version(client: httpx.Client) -> None:
    """A request that was kept is no conflict when it is sent again, though the version moved on."""
    event = {"type": "x", "aggregate_type": "order", "aggregate_id": "retried"}
    answers = [post(client, "expected", event, "/events/?expected_version=0") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_lines_that_broke_off(client: httpx.Client, store: Store) -> None:
    """A stream that is sent again is completed, line by line."""
    line = b'{"type":"x","project":"broken"}\n'
    headers = NDJSON | {"idempotency-key": "broken"}
    first = client.post("/events/", content=line * 3, headers=headers).json()
    again = client.post("/events/", content=line * 5, headers=headers)
    assert again.status_code == 201
    assert again.json()["results"][:3] == first["results"]
    assert count(store, "broken") == 5
    other = client.post("/events/", content=b'{"type":"y"}\n', headers=headers)
    assert other.status_code == 207
    assert other.json()["results"][0]["problem"]["type"].endswith(":idempotency-key-reused")


def test_after_a_restart(server: Any) -> None:
    """Nothing is remembered but the events, so a restart forgets nothing."""
    served: Server = server()
    with served.client() as client:
        first = post(client, "restart", {"type": "x"})
    served.restart()
    with served.client() as client:
        assert post(client, "restart", {"type": "x"}).json() == first.json()


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_an_unusable_key(client: httpx.Client, key: str) -> None:
    """1 to 255 visible characters; nothing is kept under another."""
    headers = {b"idempotency-key": key.encode("latin-1"), b"content-type": b"application/json"}
    answer = client.post("/events/", content=json.dumps({"type": "x"}), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_callers_cannot_meet() -> None:
    """Two callers may use the same key; and no key runs into another's caller."""
    ids = {
        Idempotency(caller, key, None).event_id(index)
        for caller, key in (("a", "k"), ("b", "k"), ("", "ak"), ("ak", ""), ("a", "k2"))
        for index in range(3)
    }
    assert len(ids) == 15
