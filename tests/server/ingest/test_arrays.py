"""JSON arrays: each event for itself, or all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.store.query import Query

if TYPE_CHECKING:
    from typing import Any

    import httpx

    from tidings.store.base import Store


def kept(store: Store, project: str) -> list[Any]:
    """The payloads that were kept for a project, in order."""
    return [event.payload for event in store.read(Query(project=project))]


def events(project: str, count: int, **fields: Any) -> list[dict[str, Any]]:
    """Events that are told apart by their payload."""
    return [{"type": "x", "project": project, "payload": n, **fields} for n in range(count)]


def test_all_are_kept(client: httpx.Client, store: Store) -> None:
    """201, and each event's place in order."""
    sent = events("all", 2500, aggregate_type="order", aggregate_id="all")
    answer = client.post("/events/", json=sent)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["kept"], body["failed"], body["complete"]) == (2500, 0, True)
    places = [(each["id"], each["position"], each["version"]) for each in body["results"]]
    stored = list(store.read(Query(project="all")))
    assert places == [(event.id, event.position, event.version) for event in stored]
    assert [event.payload for event in stored] == list(range(2500))


def test_none_is_all(client: httpx.Client) -> None:
    """An empty array has nothing that could fail."""
    answer = client.post("/events/", json=[])
    assert answer.status_code == 201
    assert answer.json() == {"kept": 0, "failed": 0, "complete": True, "results": []}


def test_each_stands_for_itself(client: httpx.Client, store: Store) -> None:
    """207: what is refused, here or by the store, has its problem, and the rest its place."""
    taken = {"type": "x", "id": "array-taken", "payload": "first"}
    client.post("/events/", json=taken)
    sent: list[Any] = [
        *events("mixed", 1),
        {"type": ""},
        "no event",
        taken | {"payload": "second"},
        *events("mixed", 1),
    ]
    answer = client.post("/events/", json=sent)
    assert answer.status_code == 207
    body = answer.json()
    assert (body["kept"], body["failed"]) == (2, 3)
    problems = [each["problem"] for each in body["results"] if "problem" in each]
    assert [(each["index"], each["status"]) for each in problems] == [(1, 422), (2, 422), (3, 409)]
    assert "position" in body["results"][0]
    assert "position" in body["results"][4]
    assert kept(store, "mixed") == [0, 0]


def test_an_id_twice_in_one_request(client: httpx.Client, store: Store) -> None:
    """The same event twice is one event; another one under its id is refused."""
    event = {"type": "x", "project": "twice", "id": "twice", "payload": 0}
    body = client.post("/events/", json=[event, event, event | {"payload": 1}]).json()
    assert (body["kept"], body["failed"]) == (2, 1)
    assert body["results"][0] == body["results"][1]
    assert kept(store, "twice") == [0]


def test_atomic_keeps_all_or_none(client: httpx.Client, store: Store) -> None:
    """The first event that is none refuses them all, and is named."""
    good = events("atomic", 3)
    bad = [*good, {"type": "x", "project": "atomic", "timestamp": "never"}]
    refused = client.post("/events/?atomic=true", json=bad)
    assert refused.status_code == 422
    assert refused.json()["index"] == 3
    assert kept(store, "atomic") == []
    answer = client.post("/events/?atomic=true", json=good)
    assert (answer.status_code, answer.json()["kept"]) == (201, 3)
    assert kept(store, "atomic") == [0, 1, 2]


def test_atomic_and_a_taken_id(client: httpx.Client, store: Store) -> None:
    """The conflict says which event it is about; none is kept."""
    client.post("/events/", json={"type": "x", "id": "atomic-taken"})
    sent = [*events("conflict", 2), {"type": "y", "id": "atomic-taken"}]
    answer = client.post("/events/?atomic=true", json=sent)
    assert (answer.status_code, answer.json()["index"]) == (409, 2)
    assert kept(store, "conflict") == []


def test_an_expected_version_makes_it_atomic(client: httpx.Client, store: Store) -> None:
    """All events are about the aggregate that must stand there, or none is kept."""
    sent = events("expected", 3, aggregate_type="order", aggregate_id="expected")
    first = client.post("/events/?expected_version=0", json=sent)
    assert (first.status_code, first.json()["results"][2]["version"]) == (201, 3)
    second = client.post("/events/?expected_version=2", json=sent)
    assert second.status_code == 409
    assert (second.json()["expected"], second.json()["actual"]) == (2, 3)
    other = sent[1] | {"aggregate_id": "another"}
    assert client.post("/events/?expected_version=3", json=[sent[0], other]).status_code == 422
    assert kept(store, "expected") == [0, 1, 2]


def test_an_array_that_is_too_large(client: httpx.Client, store: Store) -> None:
    """413 beyond 16 MiB points to NDJSON; below it an array may be larger than any one event."""
    padding = b" " * (3 << 20)
    body = b'[{"type": "x", "project": "large"}' + padding + b"]"
    headers = {"content-type": "application/json"}
    assert client.post("/events/", content=body, headers=headers).status_code == 201
    assert len(kept(store, "large")) == 1
    answer = client.post("/events/", content=b"[" + b" " * (16 << 20) + b"]", headers=headers)
    assert answer.status_code == 413
    assert "NDJSON" in answer.json()["detail"]
    assert client.post("/events/", content=b"{" + padding, headers=headers).status_code == 413
