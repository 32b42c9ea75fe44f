"""`/webhooks`: made, changed and looked at by administrators, and no secret told twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.delivery.webhooks.receivers import Receiver, answer
from tests.server.conftest import Server
from tidings.delivery.webhooks.attempts import Listed, list_test
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.server import create_app
from tidings.server.config import APIServerConfig
from tidings.server.keys import KeyRing
from tidings.store import open_store
from tidings.subscriptions.progress import Attempt

HOOK = "https://example.org/hook"
OWN = "whsec_" + "QUJD" * 10
PROBLEM = "application/problem+json"
ROUTES = [
    ("GET", "", None),
    ("POST", "", {}),
    ("GET", "/wh_1", None),
    ("PATCH", "/wh_1", {}),
    ("DELETE", "/wh_1", None),
    ("POST", "/wh_1/rotate", {}),
    ("POST", "/wh_1/pause", None),
    ("POST", "/wh_1/resume", {}),
    ("POST", "/wh_1/test", None),
    ("GET", "/wh_1/attempts", None),
    ("POST", "/wh_1/replay", {"failed": True}),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that delivers nothing of itself, and may reach this machine."""
    environment = {"TIDINGS_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    started = Server(tmp_path_factory.mktemp("served"), ("--no-deliver",), environment)
    yield started
    started.kill()


@pytest.fixture
def client(served: Server) -> Iterator[httpx.Client]:
    """A client of it."""
    with served.client() as opened:
        yield opened


def made(client: httpx.Client, **wishes: Any) -> dict[str, Any]:
    """A webhook that was made."""
    answered = client.post("/webhooks", json={"url": HOOK, **wishes})
    assert answered.status_code == 201, answered.text
    webhook: dict[str, Any] = answered.json()
    return webhook


def problem(answered: httpx.Response, status: int) -> str:
    """What a refusal says."""
    assert answered.status_code == status, answered.text
    assert answered.headers["content-type"] == PROBLEM
    return str(answered.json()["detail"])


def test_one_is_made_changed_and_deleted(client: httpx.Client) -> None:
    """Each answer is the webhook as it is now; only the first shows the secret."""
    answered = client.post(
        "/webhooks",
        json={
            "url": f"{HOOK}?token=s3cr3t",
            "filters": {"types": ["job.*"], "project": "p", "since": "2026-01-01T00:00:00Z"},
            "headers": {"Authorization": "Bearer s3cr3t", "X-Two": "2"},
            "secret": OWN,
        },
    )
    webhook = answered.json()
    assert (answered.status_code, webhook["secret"]) == (201, OWN)
    place = f"/{answered.headers['location']}"
    assert webhook["url"] == f"{HOOK}?token=***"
    assert webhook["headers"] == {"authorization": "***", "x-two": "***"}
    changed = client.patch(
        place, json={"filters": {"project": None}, "headers": {"x-two": None}, "body": "plain"}
    ).json()
    assert changed["filters"] == {"types": ["job.*"], "since": "2026-01-01T00:00:00Z"}
    assert (changed["body"], list(changed["headers"])) == ("plain", ["authorization"])
    assert client.patch(place, json={"filters": None}).json()["filters"] == {}
    for told in (client.get(place), client.get("/webhooks"), client.post(f"{place}/pause")):
        assert webhook["id"] in told.text
        assert "s3cr3t" not in told.text
        assert OWN not in told.text
    assert client.delete(place).json() == {"deleted": webhook["id"]}
    assert "there is no webhook" in problem(client.get(place), 404)


def test_it_is_paused_resumed_and_rotated(client: httpx.Client) -> None:
    """Bodies may be left out; the old secret signs for a day, or for as long as is said."""
    place = f"/webhooks/{made(client)['id']}"
    assert client.post(f"{place}/pause").json()["state"] == "paused"
    assert client.post(f"{place}/resume").json()["state"] == "active"
    assert client.post(f"{place}/resume", json={"skip": True}).json()["state"] == "active"
    first = client.post(f"{place}/rotate").json()
    assert first["old_secret_until"] is not None
    second = client.post(f"{place}/rotate", json={"keep": 0, "secret": OWN}).json()
    assert second["secret"] == OWN != first["secret"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "url: Field required"),
        ({"url": "x"}, "must be http:// or https://"),
        ({"url": "http://10.0.0.1/"}, "10.0.0.1 (private), which is not allowed"),
        ({"url": "http://169.254.169.254/latest"}, "not allowed"),
        ({"url": HOOK, "allow_private": True}, "cannot be set over HTTP"),
        ({"url": HOOK, "filters": {"colour": "red"}}, "filters have no 'colour'; there are"),
        ({"url": HOOK, "filters": {"limit": 1}}, "limit makes no sense"),
        ({"url": HOOK, "headers": {"host": "s3cr3t"}}, "host"),
        ({"url": HOOK, "secret": "s3cr3t"}, "secret"),
        ({"url": HOOK, "concurrency": 0}, "concurrency"),
        ({"url": HOOK, "urll": HOOK}, "urll"),
        ({"url": HOOK, "start": -1}, "start"),
    ],
)
def test_what_may_not_be_is_refused(client: httpx.Client, body: Any, said: str) -> None:
    """With what was wrong, and without what may be secret; nothing is made."""
    before = client.get("/webhooks", params={"limit": 1000}).json()
    refusal = problem(client.post("/webhooks", json=body), 422)
    assert said in refusal
    assert "s3cr3t" not in refusal
    assert client.get("/webhooks", params={"limit": 1000}).json() == before


def test_a_private_webhook_is_not_turned_elsewhere(client: httpx.Client, served: Server) -> None:
    """What was allowed where the store is was allowed for that address only."""
    with open_store(served.store_url) as store:
        endpoint, _ = Endpoints(store).create("http://10.0.0.1/hook", allow_private=True)
    place = f"/webhooks/{endpoint.id}"
    refusal = problem(client.patch(place, json={"url": "http://192.168.0.1/"}), 422)
    assert f"tidings webhooks change {endpoint.id} URL" in refusal
    assert client.get(place).json()["url"] == "http://10.0.0.1/hook"
    changed = client.patch(place, json={"url": HOOK, "allow_private": False}).json()
    assert (changed["url"], changed["allow_private"]) == (HOOK, False)
    client.delete(place)


def test_a_list_comes_in_pages(client: httpx.Client) -> None:
    """Each webhook once, in the order they were made, whatever the page holds."""
    ids = [made(client)["id"] for _ in range(5)]
    found, link = [], "/webhooks?limit=2"
    while link:
        page = client.get(link).json()
        found += [webhook["id"] for webhook in page["webhooks"]]
        link = page["next"]
    assert found[-5:] == ids
    assert len(set(found)) == len(found)
    problem(client.get("/webhooks?after=wh_nothing"), 404)
    problem(client.get("/webhooks?limit=0"), 422)


def test_attempts_come_in_pages(client: httpx.Client, served: Server) -> None:
    """The newest first; those that failed alone, where that is asked."""
    webhook_id = made(client)["id"]
    with open_store(served.store_url) as store:
        for at in range(1, 6):
            error = "HTTP 500" if at % 2 else ""
            attempt = Attempt(at * 1_000_000, 0.25, error, 500 if at % 2 else 200, "said")
            list_test(store, webhook_id, Listed(attempt, f"e{at}", at, "job.done", "test"))
    found, link = [], f"/webhooks/{webhook_id}/attempts?limit=2"
    while link:
        page = client.get(link).json()
        found += [attempt["event_id"] for attempt in page["attempts"]]
        link = page["next"]
    assert found == ["e5", "e4", "e3", "e2", "e1"]
    failed = client.get(f"/webhooks/{webhook_id}/attempts?failed=true").json()["attempts"]
    assert [each["position"] for each in failed] == [5, 3, 1]
    assert failed[0] == {
        "at": "1970-01-01T00:00:05.000000Z", "ok": False, "status": 500, "seconds": 0.25,
        "error": "HTTP 500", "answer": "said", "trigger": "test", "event_id": "e5", "position": 5,
        "type": "job.done",
    }  # fmt: skip
    problem(client.get(f"/webhooks/{webhook_id}/attempts?failed=maybe"), 422)


def test_a_replay_says_how_many(client: httpx.Client) -> None:
    """One event by id or position, all since a moment, all that failed; one of them at a time."""
    kept = client.post("/events/", json={"type": "replayed"}).json()
    place = (
        f"/webhooks/{made(client, filters={'types': 'replayed'}, start='beginning')['id']}/replay"
    )
    for asked in (
        {"event": kept["id"]},
        {"event": kept["position"]},
        {"since": kept["recorded_at"]},
        {"since": kept["recorded_at"], "dry_run": True},
    ):
        told = client.post(place, json=asked).json()
        assert (told["events"], told["dry_run"]) == (1, "dry_run" in asked)
    assert client.post(place, json={"failed": True}).json()["events"] == 0
    problem(client.post(place, json={"event": "nothing"}), 404)
    for asked in ({}, {"event": 1, "failed": True}, {"since": "then"}):
        problem(client.post(place, json=asked), 422)


def test_a_test_is_sent_by_the_server(client: httpx.Client) -> None:
    """At once, signed, and told, whether or not this server delivers."""
    with Receiver(secrets=[OWN]) as receiver:
        receiver.script += [answer(), answer(500, b"broken")]
        place = f"/webhooks/{made(client, url=receiver.url, secret=OWN)['id']}/test"
        taken, refused = client.post(place).json(), client.post(place).json()
        assert all(got.verified for got in receiver.wait(2))
    assert (taken["ok"], taken["status"]) == (True, 200)
    assert (refused["ok"], refused["status"], refused["answer"]) == (False, 500, "broken")


def test_a_body_is_bounded(client: httpx.Client) -> None:
    """Of a route that takes one, whoever sends it."""
    large = b'{"url": "' + b"x" * 300_000
    for method, path in (("POST", "/webhooks"), ("PATCH", "/webhooks/wh_1")):
        problem(client.request(method, path, content=large), 413)


@pytest.mark.parametrize(
    ("scopes", "projects", "codes"),
    [
        (["emit", "read"], None, {403}),
        (["admin"], ["p"], {403}),
        (["admin"], None, {200, 404, 422}),
    ],
)
def test_only_administrators_of_all_projects_come_in(
    tmp_path: Path, scopes: list[str], projects: list[str] | None, codes: set[int]
) -> None:
    """Neither who may read and emit, nor who administers one project, nor who has no key."""
    config = APIServerConfig(data_dir=str(tmp_path), deliver=False)
    with open_store(config.store_url) as store:
        _, token = KeyRing(store).create("key", scopes, projects)
    with TestClient(create_app(config), base_url="http://localhost") as client:
        for headers, expected in (({"authorization": f"Bearer {token}"}, codes), ({}, {401})):
            answered = {
                client.request(method, f"/webhooks{path}", headers=headers, json=body).status_code
                for method, path, body in ROUTES
            }
            assert answered == expected
