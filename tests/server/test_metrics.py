"""Whether `/metrics` counts what happens."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.server.conftest import Server
from tidings.bus import Bus
from tidings.server.keys import KeyRing
from tidings.server.metrics import Metrics


def values(text: str) -> dict[str, float]:
    """Each series of an answer and its value."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_what_happens_is_counted(server: Callable[..., Server]) -> None:
    """Emits, conflicts, reads and the store's state stand in the answer."""
    started = server()
    event = {"type": "agent.started", "aggregate_type": "agent", "aggregate_id": "a"}
    with started.client() as client:
        for _ in range(3):
            assert client.post("/events/", json=event).status_code == 201
        conflict = client.post("/events/", params={"expected_version": 1}, json=event)
        assert conflict.status_code == 409
        assert client.get("/events/").status_code == 200
        answer = client.get("/metrics")
    counted = values(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert counted["tidings_events_appended_total"] == 3
    assert counted["tidings_append_seconds_count"] == 3
    assert counted['tidings_events_refused_total{kind="version_conflict"}'] == 1
    assert counted["tidings_events_read_total"] == 3
    assert counted["tidings_commit_batches_sum"] == 4
    assert counted["tidings_store_head"] == 3
    assert counted["tidings_store_bytes"] > 0
    assert counted["tidings_spool_events"] == 0
    posted = 'tidings_request_seconds_count{method="POST",route="/events/",status="%s"}'
    assert (counted[posted % 201], counted[posted % 409]) == (3, 1)


def test_open_metrics_for_those_who_ask(server: Callable[..., Server]) -> None:
    """The newer format is given to whoever names it."""
    with server().client() as client:
        answer = client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_a_key_of_one_project_does_not_see_all(server: Callable[..., Server]) -> None:
    """Counts are of all projects, so a key that is bound to some is refused."""
    started = server()
    with Bus(started.store_url) as bus:
        keys = KeyRing(bus.store)
        _, bound = keys.create("bound", ["read"], ["figrecipe"])
        _, free = keys.create("free", ["read"])
        _, emitting = keys.create("emitting", ["emit"])
    started.restart()
    with started.client() as client:
        for token, status in ((bound, 403), (emitting, 403), (free, 200), ("", 401)):
            headers = {"authorization": f"Bearer {token}"} if token else {}
            assert client.get("/metrics", headers=headers).status_code == status


def test_clients_invent_no_series() -> None:
    """Methods nobody knows share one series."""
    metrics = Metrics()
    for number in range(100):
        metrics.request("other", f"INVENTED{number}", 405, 0.001)
    methods = set(re.findall(rb'tidings_request_seconds_count\{method="(\w+)"', metrics.text()))
    assert methods == {b"other"}
