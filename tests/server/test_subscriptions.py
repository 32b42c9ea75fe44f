"""Whether administrators can look at subscriptions over HTTP and change them, and `/metrics`."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event as Signal
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import PATIENCE
from tests.server.test_metrics import values
from tidings.bus import Bus
from tidings.event import Event
from tidings.handlers import Handler
from tidings.server.keys import KeyRing
from tidings.store.query import Query
from tidings.subscriptions.dead_letters import DeadLetter, DeadLetters
from tidings.subscriptions.generations import Generations
from tidings.subscriptions.registry import Subscriptions
from tidings.subscriptions.worker import Worker
from tidings.timestamps import now_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.server.conftest import Server
    from tidings.store.base import Store


@contextmanager
def opened(server: Server) -> Iterator[Store]:
    """The server's store, opened beside it."""
    with Bus(server.store_url) as bus:
        yield bus.store


def declare(store: Store, name: str) -> None:
    """Make a subscription that nobody runs."""
    handler = Handler(print, name=name, query=Query(types=["job.*"]))
    Generations(store).declare(handler, now_instant())


def give_up(store: Store, name: str, count: int) -> None:
    """Make dead letters of a subscription about new events."""
    for event in store.append([Event("job.done") for _ in range(count)]):
        DeadLetters(store).add(DeadLetter.about(event, name, "x", (), 0, held=False))


def test_they_are_listed_and_shown(client: httpx.Client, shared_server: Server) -> None:
    """The list has each by name, with how far it is behind; one is shown by its name."""
    with opened(shared_server) as store:
        declare(store, "shown.b")
        declare(store, "shown.a")
        give_up(store, "shown.a", 2)
        head = store.head()
    found = client.get("/subscriptions").json()["subscriptions"]
    shown = [each for each in found if each["name"].startswith("shown.")]
    assert [each["name"] for each in shown] == ["shown.a", "shown.b"]
    assert shown[0] == client.get("/subscriptions/shown.a").json()
    assert (shown[0]["lag"], shown[0]["dead_letters"], shown[0]["paused"]) == (head, 2, False)
    assert [each["host"] for each in shown[0]["partitions"]] == [None]


def test_one_is_paused_reset_and_deleted(client: httpx.Client, shared_server: Server) -> None:
    """Each answer says how it stands then; what is deleted is not found any more."""
    with opened(shared_server) as store:
        declare(store, "changed")
        head = store.append([Event("job.done")])[0].position
        assert client.post("/subscriptions/changed/pause").json()["paused"] is True
        assert Subscriptions(store).get("changed").paused
        assert client.post("/subscriptions/changed/resume").json()["paused"] is False
        for to, position in (("now", head), ("beginning", 0), ("1", 1)):
            answer = client.post("/subscriptions/changed/reset", params={"to": to})
            assert (answer.status_code, answer.json()["position"]) == (200, position)
        assert client.delete("/subscriptions/changed").json() == {"deleted": "changed"}
        assert "changed" not in [state.name for state in Subscriptions(store).list()]
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/pause"),
        ("POST", "/reset?to=now"),
    ):
        answer = client.request(method, f"/subscriptions/changed{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:tidings:problem:not-found")


@pytest.mark.parametrize(
    "query", ["", "?to=-1", "?to=soon", "?to=9999999", "?to=1&to=2", "?from=1"]
)
def test_a_wrong_place_is_refused(client: httpx.Client, shared_server: Server, query: str) -> None:
    """A reset to nowhere says what may be given, and changes nothing."""
    with opened(shared_server) as store:
        declare(store, "refused")
    before = client.get("/subscriptions/refused").json()
    assert client.post(f"/subscriptions/refused/reset{query}").status_code == 422
    assert client.get("/subscriptions/refused").json()["generation"] == before["generation"]


def test_a_worker_carries_out_what_is_asked(client: httpx.Client, shared_server: Server) -> None:
    """A worker on the server's store handles an event again that was replayed over HTTP."""
    mended, handled = Signal(), Signal()
    with Bus(shared_server.store_url) as bus:

        @bus.on("worked.job", name="worked", attempts=1)
        def handle(_: Event) -> None:
            if not mended.is_set():
                raise OSError("not yet")
            handled.set()

        event = bus.emit("worked.job", project="p")
        with Worker(bus):
            until(lambda: client.get("/subscriptions/worked").json().get("dead_letters") == 1)
            mended.set()
            assert client.post(f"/dead-letters/worked/{event.position}/replay").status_code == 200
            assert handled.wait(PATIENCE)
            until(lambda: client.get("/subscriptions/worked").json()["dead_letters"] == 0)
            shown = client.get("/subscriptions/worked").json()
            assert shown["partitions"][0]["pid"] is not None


def until(holds: Callable[[], bool]) -> None:
    """Ask until something holds, which must be soon."""
    deadline = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < deadline


def test_only_administrators_of_all_projects(server: Callable[..., Server]) -> None:
    """Other keys are refused on every route; the figures of all subscriptions stand in /metrics."""
    started = server()
    with opened(started) as store:
        keys = KeyRing(store)
        tokens = {
            name: keys.create(name, [scope], projects)[1]
            for name, scope, projects in (
                ("admin", "admin", None),
                ("bound", "admin", ["p"]),
                ("reading", "read", None),
            )
        }
        declare(store, "told")
        give_up(store, "told", 3)
        give_up(store, "webhook:wh_0123456789abcdef", 2)
        head = store.head()
    started.restart()
    routes = [
        ("GET", "/subscriptions"),
        ("GET", "/subscriptions/told"),
        ("POST", "/subscriptions/told/pause"),
        ("POST", "/subscriptions/told/resume"),
        ("POST", "/subscriptions/told/reset?to=now"),
        ("GET", "/dead-letters"),
        ("GET", "/dead-letters/told/1"),
        ("POST", "/dead-letters/told/1/replay"),
        ("POST", "/dead-letters/told/1/discard"),
        ("POST", "/dead-letters/replay"),
        ("POST", "/dead-letters/discard"),
        ("DELETE", "/subscriptions/told"),
    ]
    with started.client() as client:
        for name, status in (("bound", 403), ("reading", 403), ("", 401)):
            headers = {"authorization": f"Bearer {tokens[name]}"} if name else {}
            for method, path in routes:
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == status, (method, path, answer.text)
        client.headers["authorization"] = f"Bearer {tokens['admin']}"
        told = values(client.get("/metrics").text)
        for figure, value in (("lag", head), ("dead_letters", 3), ("waiting", 0), ("held", 0)):
            assert told[f'tidings_subscription_{figure}{{subscription="told"}}'] == value
        assert told['tidings_subscription_handled_total{subscription="told"}'] == 0
        assert told['tidings_subscription_failed_total{subscription="told"}'] == 0
        assert told["tidings_webhook_dead_letters"] == 2
        for method, path in routes:
            body = {"subscription": "told"} if path.count("/") == 2 and method == "POST" else None
            answer = client.request(method, path, json=body)
            assert answer.status_code == 200, (method, path, answer.text)
