"""Keys bound to projects: what they do to others' agents and workflows, and what they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Server
from tidings import Bus
from tidings.errors import IdConflict
from tidings.event import Event
from tidings.server.keys import KeyRing
from tidings.store import open_store
from tidings.store.query import Query
from tidings.store.remote import RemoteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKFLOW: dict[str, Any] = {"aggregate_type": "workflow", "aggregate_id": "wf1"}


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    """The tokens of one key for each project."""
    return {}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, str]) -> Iterator[Server]:
    """A server where beta has a workflow, and alpha an agent that says it belongs to it."""
    home = tmp_path_factory.mktemp("served")
    with Bus(f"sqlite:///{home}/events.db", context=False) as bus:
        keys = KeyRing(bus.store)
        for project in ("alpha", "beta"):
            tokens[project] = keys.create(project, ["emit", "read"], [project])[1]
        bus.emit("workflow.started", "beta", "", correlation_id="wf1", **WORKFLOW)
        bus.emit("secret", "beta", payload={"pin": 1234}, id="beta-1")
    started = Server(home, (), {})
    with client(started, tokens["alpha"]) as alpha:
        done = {"type": "workflow.completed", "project": "alpha", **WORKFLOW}
        assert alpha.post("/events/", json=done).status_code == 201
    yield started
    started.kill()


def client(served: Server, token: str) -> httpx.Client:
    """A client with a key."""
    return served.client(headers={"authorization": f"Bearer {token}"})


@pytest.mark.parametrize("path", ["workflows", "aggregates/correlation"])
def test_a_summary_of_others_is_not_shown(
    served: Server, tokens: dict[str, str], path: str
) -> None:
    """Who adds to another project's workflow learns nothing of it."""
    with client(served, tokens["alpha"]) as alpha:
        answer = alpha.get(f"/events/{path}").json()
        assert not any(isinstance(value, list) and value for value in answer.values()), answer
        assert alpha.get("/events/workflows/wf1/tree").status_code == 404
        asked = {"kind": "workflow", "query": {}}
        assert alpha.post("/log/summaries", json=asked).json()["summaries"] == []


def test_the_project_of_a_workflow_stays(served: Server) -> None:
    """Another project's event does not take a workflow from the one that began it."""
    with open_store(served.store_url) as store:
        (summary,) = store.summaries("workflow", Query())
    assert (summary.project, summary.version) == ("beta", 2)


def test_what_an_id_of_others_holds_cannot_be_guessed(
    served: Server, tokens: dict[str, str]
) -> None:
    """A right guess and a wrong one get the same answer."""
    guess = {"type": "secret", "project": "alpha", "id": "beta-1", "source": "local"}
    with client(served, tokens["alpha"]) as alpha:
        problems = [
            alpha.post("/events/", json={**guess, "payload": {"pin": pin}}).json()
            for pin in (1111, 1234)
        ]
    for problem in problems:
        assert problem["status"] == 409, problem
        del problem["request_id"]
        assert {"position", "differs"}.isdisjoint(problem)
    assert problems[0] == problems[1]


def test_a_remote_store_learns_no_more(served: Server, tokens: dict[str, str]) -> None:
    """Over `/log/append` it is a conflict too, and says as little."""
    sent = Event("secret", "alpha", payload={"pin": 1234}, id="beta-1", source="local")
    with (
        RemoteStore(served.url, key=tokens["alpha"], deadline=PATIENCE) as store,
        pytest.raises(IdConflict) as caught,
    ):
        store.append([sent])
    assert (caught.value.position, caught.value.differs) == (0, ("project",))
