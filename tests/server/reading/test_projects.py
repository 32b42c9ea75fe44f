"""Keys that are bound to projects: what they read is theirs, on every route."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tidings.bus import Bus
from tidings.server.keys import KeyRing

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """A server with a key for project `mine` and one for all, and events of two projects."""
    from tests.server.conftest import Server

    home = tmp_path_factory.mktemp("keyed")
    with Bus(f"sqlite:///{home}/events.db", context=False) as bus:
        ring = KeyRing(bus.store)
        _, bound = ring.create("bound", ["read"], projects=["mine"])
        _, free = ring.create("free", ["read"])
        _, emits = ring.create("emits", ["emit"])
        for project in ("mine", "theirs"):
            shared: dict[str, Any] = {"project": project, "correlation_id": "w"}
            bus.emit("workflow.started", aggregate_type="workflow", aggregate_id=f"w-{project}",
                     **shared)  # fmt: skip
            bus.emit("agent.started", aggregate_type="agent", aggregate_id=f"a-{project}",
                     id=f"e-{project}", payload={"text": "word"}, **shared)  # fmt: skip
            bus.emit(f"type.{project}", project)
        bus.emit("workflow.started", "mine", aggregate_type="workflow", aggregate_id="w-both",
                 correlation_id="w-both", timestamp="2026-03-01T12:00:00Z")  # fmt: skip
        for project, minute in (("mine", "03"), ("theirs", "10")):
            when = f"2026-03-01T12:{minute}:00Z"
            bus.emit("note", project, correlation_id="w-both", timestamp=when)
    started = Server(home, (), {})
    yield started, {"bound": bound, "free": free, "emits": emits}
    started.kill()


@pytest.fixture
def ask(served: tuple[Any, dict[str, str]]) -> Iterator[Ask]:
    """Asks with a key, by its name."""
    started, tokens = served
    with started.client() as client:

        def asked(path: str, key: str = "bound") -> httpx.Response:
            headers = {"authorization": f"Bearer {tokens[key]}"} if key else {}
            return client.get(path, headers=headers)  # type: ignore[no-any-return]  # untyped

        yield asked


ROUTES = [
    "/events/", "/events/agents/a", "/events/workflows/w", "/events/workflows/w/agents",
    "/events/workflows/w/tree", "/events/by-id/e", "/events/types", "/events/types/x",
    "/events/workflows", "/events/agents", "/events/aggregates/agent", "/events/histogram",
]  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
def test_nothing_is_read_without_a_key_or_the_scope(ask: Ask, path: str) -> None:
    """401 for nobody, 403 for a key that may only emit."""
    assert ask(path, "").status_code == 401
    assert ask(path, "emits").status_code == 403


def test_lists_hold_their_projects_alone(ask: Ask) -> None:
    """Events, agents, workflows, correlations and counts."""
    events = ask("/events/").json()
    assert {each["project"] for each in events["events"]} == {"mine"}
    assert events["total"] == 5
    assert ask("/events/", "free").json()["total"] == 9
    for path, key in (("workflows", "workflows"), ("agents", "agents"),
                      ("aggregates/agent", "aggregates")):  # fmt: skip
        assert {each["project"] for each in ask(f"/events/{path}").json()[key]} == {"mine"}
    agents = ask("/events/workflows/w/agents").json()["agents"]
    assert [each["agent_id"] for each in agents] == ["a-mine"]
    tree = ask("/events/workflows/w/tree").json()
    assert [each["id"] for each in tree["nodes"]] == ["w", "a-mine"]
    bins = ask("/events/histogram").json()["bins"]
    assert sum(each["total"] for each in bins) == 3
    assert ask("/events/?contains=word").json()["events"][0]["project"] == "mine"


def test_what_is_not_theirs_is_not_there(ask: Ask) -> None:
    """An id, an agent or a workflow of others looks as one that does not exist."""
    assert ask("/events/by-id/e-mine").status_code == 200
    assert ask("/events/by-id/e-theirs").status_code == 404
    assert ask("/events/by-id/e-theirs", "free").status_code == 200
    assert ask("/events/agents/a-theirs").json()["events"] == []
    assert ask("/events/workflows/w-theirs").json()["total"] == 0
    assert ask("/events/workflows/w-theirs/tree").status_code == 404


def test_how_a_workflow_stands_tells_nothing_of_others(ask: Ask) -> None:
    """What others do for a workflow keeps it from being quiet only for who may see that."""
    path = "/events/workflows?state=running&quiet_since=2026-03-01T12:{}:00Z"
    for key, minute, found in (
        ("bound", "05", ["w-both"]),
        ("bound", "02", []),
        ("free", "05", []),
        ("free", "15", ["w-both"]),
    ):
        answer = ask(path.format(minute), key).json()
        assert [each["id"] for each in answer["workflows"]] == found


def test_asking_for_others_is_refused(ask: Ask) -> None:
    """403 and not an empty answer, which would look as if there were nothing."""
    for path in ("/events/", "/events/agents", "/events/histogram"):
        response = ask(f"{path}?project=theirs")
        assert response.status_code == 403
        assert response.json()["type"] == "urn:tidings:problem:project-forbidden"
        both = ask(f"{path}?project=theirs&project=mine")
        assert both.status_code == 200
        assert "theirs" not in both.text.replace("project=theirs", "")


def test_types_are_the_catalogs_without_counts(ask: Ask) -> None:
    """Counts are of all projects, and so are the names of types that only occur."""
    types = ask("/events/types").json()["types"]
    assert "agent.started" in {each["type"] for each in types}
    assert not {"type.mine", "type.theirs"} & {each["type"] for each in types}
    assert {each["count"] for each in types} == {None}
    assert ask("/events/types/type.theirs").status_code == 404
    assert ask("/events/types/type.theirs", "free").json()["count"] == 1
