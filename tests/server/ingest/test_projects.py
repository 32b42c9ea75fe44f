"""A key that is bound to projects emits for these alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidings.server.keys import KeyRing
from tidings.store import open_store
from tidings.store.query import Query

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Server


def test_other_projects_are_forbidden(server: Any, tmp_path: Path) -> None:
    """403, in batches for the event alone; nothing is kept for the other project."""
    url = f"sqlite:///{tmp_path}/events.db"
    with open_store(url) as store:
        _, token = KeyRing(store).create("ours", ["emit"], ["ours"])
        served: Server = server("--url", url)
        ours, other = {"type": "x", "project": "ours"}, {"type": "x", "project": "other"}
        cloud = {"specversion": "1.0", "id": "1", "source": "s", "type": "x", "project": "other"}
        with served.client(headers={"authorization": f"Bearer {token}"}) as client:
            assert client.post("/events/", json=ours).status_code == 201
            assert client.post("/events/", json=other).status_code == 403
            assert client.post("/events/", json={"type": "x"}).status_code == 403
            assert client.post("/events/emit/agent", json={"name": "x"}).status_code == 403
            named = client.post("/events/emit/agent", json={"name": "x", "project": "ours"})
            assert named.status_code == 200
            for content_type in ("application/cloudevents+json", "application/json"):
                headers = {"content-type": content_type}
                headers |= {f"ce-{n}": v for n, v in cloud.items() if "cloud" not in content_type}
                answer = client.post("/events/", content=json.dumps(cloud), headers=headers)
                assert answer.status_code == 403, answer.text
            body = client.post("/events/", json=[ours, other, ours])
            assert body.status_code == 207
            assert body.json()["results"][1]["problem"]["status"] == 403
            atomic = client.post("/events/?atomic=true", json=[ours, other])
            assert (atomic.status_code, atomic.json()["index"]) == (403, 1)
            lines = "\n".join(map(json.dumps, (other, ours)))
            headers = {"content-type": "application/x-ndjson"}
            streamed = client.post("/events/", content=lines, headers=headers)
            assert (streamed.status_code, streamed.json()["kept"]) == (207, 1)
        assert {event.project for event in store.read(Query())} == {"ours"}
