"""Lists of events: who is in them, in what order, and how they go on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import httpx
import pytest
from starlette.testclient import TestClient

from tidings.bus import Bus
from tidings.event import Event
from tidings.event_item import item
from tidings.server import APIServerConfig, create_app

Walk = Callable[[str, str], list[dict[str, Any]]]


def names(page: dict[str, Any]) -> list[str]:
    """The types of the events of a page."""
    return [each["event_name"] for each in page["events"]]


def test_newest_first_with_the_shape_of_the_seed(client: httpx.Client, bus: Bus) -> None:
    """Each event is the item of the wire, the newest first, and both addresses answer at once."""
    kept = [bus.emit("shape", "shape", payload={"n": n}) for n in range(3)]
    for path in ("/events/", "/events"):
        response = client.get(path, params={"project": "shape"})
        assert response.status_code == 200
        assert response.json() == {
            "events": [item(event) for event in reversed(kept)],
            "total": 3, "limit": 100, "offset": 0, "next": None,
            "complete": True, "exact": True, "at_least": 3,
        }  # fmt: skip


def test_offset_and_limit_cut_out_a_page(client: httpx.Client, bus: Bus) -> None:
    """The seed's paging leaves out `offset` events and gives `limit`; the total counts them all."""
    positions = [bus.emit("cut", "cut").position for _ in range(7)]
    page = client.get("/events/?project=cut&limit=2&offset=3").json()
    assert [each["position"] for each in page["events"]] == [positions[3], positions[2]]
    assert (page["total"], page["limit"], page["offset"]) == (7, 2, 3)
    after = client.get(page["next"]).json()
    assert [each["position"] for each in after["events"]] == [positions[1], positions[0]]
    assert after["total"] == 7
    assert after["next"] is None


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_following_next_gives_each_event_once(
    client: httpx.Client, bus: Bus, walk: Walk, order: str, limit: int
) -> None:
    """Nothing is missed or repeated, in either direction, while others write in between."""
    project = f"walk-{order}-{limit}"
    kept = [bus.emit("walked", project).position for _ in range(10)]
    url = f"/events/?project={project}&order={order}&limit={limit}"
    first = client.get(url).json()
    bus.emit("meanwhile", project)
    rest = [] if first["next"] is None else walk(first["next"], "events")
    found = [each["position"] for each in first["events"] + rest]
    if order == "asc":
        assert found[:10] == kept
        assert found[10:] == sorted(found[10:])
    else:
        assert found == kept[::-1]


def test_the_next_link_is_also_a_header(client: httpx.Client, bus: Bus) -> None:
    """RFC 8288's header names the same page, resolved against the address asked for."""
    for _ in range(3):
        bus.emit("linked", "linked proj&ct")
    response = client.get("/events/", params={"project": "linked proj&ct", "limit": 2})
    link = response.links["next"]["url"]
    resolved = urljoin(str(response.url), link)
    assert resolved == urljoin(str(response.url), response.json()["next"])
    assert len(client.get(resolved).json()["events"]) == 1
    assert "link" not in client.get(resolved).headers


def test_the_window_bounds_what_is_listed_and_not_what_is_counted(
    client: httpx.Client, bus: Bus
) -> None:
    """`after` and `before` leave out positions; `total` says how many match in all."""
    kept = [bus.emit("window", "window").position or 0 for _ in range(6)]
    page = client.get(f"/events/?project=window&after={kept[1]}&before={kept[5]}").json()
    assert [each["position"] for each in page["events"]] == [kept[4], kept[3], kept[2]]
    assert page["total"] == 6


def test_every_filter_is_heard(client: httpx.Client, bus: Bus) -> None:
    """Each parameter leaves exactly the events that fit."""
    about: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "heard-a"}
    one = bus.emit("heard.one", "heard", "failure", {"host": "n12", "n": 1, "text": "a Needle"},
                   "hpc", correlation_id="heard-w", causation_id="heard-c", user_id="heard-u",
                   **about)  # fmt: skip
    bus.emit("heard.two", "heard-b", payload={"n": 2})
    for query in (
        {"id": one.id}, {"type": "heard.one"}, {"type": "heard.*", "project": "heard"},
        {"project": "heard"}, {"type": "heard.*", "status": "failure"},
        {"type": "heard.*", "source": "hpc"}, {"event_type": "heard.one"},
        {"event_type": "AgentEvent", "aggregate_id": "heard-a"},
        {"aggregate_type": "agent_aggregate", "aggregate_id": "heard-a"},
        {"aggregate_type": "agent", "type": "heard.*"}, {"correlation_id": "heard-w"},
        {"workflow": "heard-w"}, {"causation_id": "heard-c"}, {"user_id": "heard-u"},
        {"contains": "needle"}, {"payload.host": "n12"}, {"payload.n:": "1", "type": "heard.*"},
        {"type": "heard.*", "not.type": "heard.two"}, {"type": "heard.*", "not.project": "heard-b"},
        {"type": "heard.*", "not.status": "success"}, {"type": "heard.*", "not.source": "local"},
    ):  # fmt: skip
        page = client.get("/events/", params=query).raise_for_status().json()
        assert [each["id"] for each in page["events"]] == [one.id], query
        assert page["total"] == 1, query


def test_several_of_a_kind_are_any_of_them(client: httpx.Client, bus: Bus) -> None:
    """A parameter that is repeated gives what fits any of its values."""
    for number in range(3):
        bus.emit(f"any.{number}", "any")
    assert names(client.get("/events/?type=any.0&type=any.2").json()) == ["any.2", "any.0"]


def test_events_about_nothing_have_a_kind_of_their_own(client: httpx.Client, bus: Bus) -> None:
    """The peer's `event_aggregate` gives those without an aggregate."""
    bus.emit("nothing.about", "nothing")
    bus.emit("nothing.agent", "nothing", aggregate_type="agent", aggregate_id="nothing")
    page = client.get("/events/?project=nothing&aggregate_type=event_aggregate").json()
    assert names(page) == ["nothing.about"]


def test_since_compares_instants(client: httpx.Client, bus: Bus) -> None:
    """An offset counts, however the texts compare; a time without one is UTC."""
    for hour, offset in ((12, "+02:00"), (11, "Z"), (7, "-05:00")):
        bus.emit(f"since.{hour}", "since", timestamp=f"2026-03-01T{hour:02}:00:00{offset}")
    for since in ("2026-03-01T11:00:00", "2026-03-01T13:00:00+02:00", "2026-03-01T11:00:00Z"):
        page = client.get("/events/", params={"project": "since", "since": since}).json()
        assert names(page) == ["since.7", "since.11"]
        assert page["total"] == 2
    unescaped = "/events/?project=since&since=2026-03-01T13:00:00+02:00"
    assert names(client.get(unescaped).json()) == ["since.7", "since.11"]
    page = client.get("/events/?project=since&until=2026-03-01T11:00:00Z").json()
    assert names(page) == ["since.12"]


def test_timestamps_carry_their_offset(client: httpx.Client, bus: Bus) -> None:
    """Whatever was written, each can be read as a moment and not as a time of day."""
    bus.emit("offset", "offset", timestamp="2026-03-01T12:00:00")
    bus.emit("offset", "offset", timestamp="2026-03-01T12:00:00+05:30")
    for each in client.get("/events/?project=offset").json()["events"]:
        assert datetime.fromisoformat(each["timestamp"]).tzinfo is not None


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "limit=-1", "limit=1&limit=2", "offset=-1", "offset=x",
        "offset=10001", "offset=1&offset=1", "since=yesterday", "order=up", "after=-1", "projct=x",
        "include=agents", "interval=1h", "type=a*b", "payload.n:=%7B", "contains=x&order=asc",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(client: httpx.Client, query: str) -> None:
    """A mistyped parameter or a value out of bounds is a problem that names it."""
    response = client.get(f"/events/?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:tidings:problem:invalid-query"
    assert query.partition("=")[0].rstrip(":") in problem["detail"]


@pytest.mark.parametrize("name", ["type", "project", "id", "not.source", "payload.n"])
def test_no_more_is_asked_than_a_store_can_combine(client: httpx.Client, name: str) -> None:
    """Many values are taken; too many are the client's mistake, and not a store that is away."""
    for number, status in ((90, 200), (1500, 422)):
        query = "&".join(f"{name}={n}" for n in range(number))
        assert client.get(f"/events/?{query}").status_code == status


def test_a_far_offset_says_how_to_go_on(client: httpx.Client) -> None:
    """It would read all that it leaves out; the answer names what does not."""
    problem = client.get("/events/?offset=20000").json()
    assert "next" in problem["detail"]


def test_what_is_read_is_counted(client: httpx.Client, bus: Bus) -> None:
    """`/metrics` tells how many events left through these routes."""

    def counted() -> float:
        text = client.get("/metrics").text
        (line,) = re.findall(r"^tidings_events_read_total (.*)$", text, re.MULTILINE)
        return float(line)

    event = bus.emit("measured", "measured")
    bus.emit("measured", "measured")
    before = counted()
    client.get("/events/?project=measured")
    client.get(f"/events/by-id/{event.id}")
    assert counted() == before + 3


def test_pruned_history_is_told(server: Callable[..., Any]) -> None:
    """Who goes on from a position that is gone learns the first that is left."""
    started = server()
    with started.client() as client, Bus(started.store_url, context=False) as bus:
        for _ in range(5):
            bus.emit("prune.me")
        bus.store.prune(3)
        response = client.get("/events/?after=1&order=asc")
        assert response.status_code == 410
        assert response.json()["first"] == 4
        assert client.get("/events/").json()["total"] == 2


def test_a_search_that_stops_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`contains` looks at so many events and no more; `next` goes on, and the walk finds all."""
    monkeypatch.setattr("tidings.store.sqlite.reading.SCAN_LIMIT", 1000)
    app = create_app(APIServerConfig(data_dir=str(tmp_path)))
    with TestClient(app, base_url="http://localhost") as client:
        app.service.store.append([Event("hay", payload=f"Word{n}.") for n in range(5000)])
        page = client.get("/events/?contains=word3.").json()
        assert page["complete"] is False
        assert page["events"] == []
        assert (page["total"], page["exact"]) == (None, False)
        pages = [page]
        while (link := pages[-1]["next"]) is not None:
            pages.append(client.get(link).json())
        found = [each["position"] for page in pages for each in page["events"]]
        assert found == [4]
        assert pages[-1]["complete"] is True
        assert len(pages) > 2


# Agents and workflows -------------------------------------------------------------------------


def test_an_agents_events_are_its_own(client: httpx.Client, bus: Bus, walk: Walk) -> None:
    """Only that agent's events come, newest first, page by page, whatever stands in its id."""
    for agent in ("own-1", "own/2 ü?#&", "own-1/agents"):
        for number in range(3):
            bus.emit(f"agent.{number}", aggregate_type="agent", aggregate_id=agent)
        bus.emit("other", aggregate_type="run", aggregate_id=agent)
        path = f"/events/agents/{quote(agent, safe='')}"
        page = client.get(path).json()
        assert names(page) == ["agent.2", "agent.1", "agent.0"]
        assert {each["agent_id"] for each in page["events"]} == {agent}
        assert page["total"] == 3
        assert len(walk(f"{path}?limit=1", "events")) == 3
        assert names(client.get(f"{path}?type=agent.1").json()) == ["agent.1"]


def test_an_unknown_agent_has_no_events(client: httpx.Client) -> None:
    """As the peer answers: an empty list."""
    response = client.get("/events/agents/nobody")
    assert response.status_code == 200
    assert response.json()["events"] == []
    assert response.json()["total"] == 0


def test_an_agent_cannot_be_another(client: httpx.Client) -> None:
    """A filter that contradicts the path is refused."""
    assert client.get("/events/agents/a?aggregate_id=b").status_code == 422


def test_a_workflows_own_events_and_those_of_its_agents(
    client: httpx.Client, bus: Bus, walk: Walk
) -> None:
    """The workflow's own alone, or with `include=agents` its agents' too, in one order."""
    kept = []
    for number in range(4):
        kept += [
            bus.emit(f"workflow.{number}", aggregate_type="workflow", aggregate_id="both"),
            bus.emit(f"agent.{number}", aggregate_type="agent", aggregate_id=f"both-{number}",
                     correlation_id="both"),
        ]  # fmt: skip
        bus.emit("elsewhere", aggregate_type="agent", aggregate_id="b", correlation_id="c")
    own = client.get("/events/workflows/both").json()
    assert names(own) == ["workflow.3", "workflow.2", "workflow.1", "workflow.0"]
    page = client.get("/events/workflows/both?include=agents").json()
    assert [each["id"] for each in page["events"]] == [event.id for event in reversed(kept)]
    assert page["total"] == 8
    for order, wanted in (("asc", kept), ("desc", kept[::-1])):
        walked = walk(f"/events/workflows/both?include=agents&limit=3&order={order}", "events")
        assert [each["id"] for each in walked] == [event.id for event in wanted]
    assert client.get("/events/workflows/both?include=all").status_code == 422


# One event ------------------------------------------------------------------------------------


@pytest.mark.parametrize("event_id", ["plain", "with/slash/es", "ü ?#&%2F", "..", "a/../b"])
def test_an_event_is_found_by_its_id(client: httpx.Client, bus: Bus, event_id: str) -> None:
    """Whatever characters its id has."""
    kept = bus.emit("named", id=event_id, payload={"n": 1})
    path = quote(event_id, safe="").replace(".", "%2E")
    response = client.get(f"/events/by-id/{path}")
    assert response.status_code == 200
    assert response.json() == item(kept)


def test_a_made_id_is_found_too(client: httpx.Client, bus: Bus) -> None:
    """Ids that Tidings made are found as those that were given."""
    kept = bus.emit("made")
    assert client.get(f"/events/by-id/{kept.id}").json()["position"] == kept.position


def test_ids_are_unique_per_source(client: httpx.Client, bus: Bus) -> None:
    """Of two sources' events with one id the newer is given, or the one whose source is named."""
    first = bus.emit("twice", id="twice", source="one")
    second = bus.emit("twice", id="twice", source="two")
    assert client.get("/events/by-id/twice").json()["position"] == second.position
    found = client.get("/events/by-id/twice?source=one").json()
    assert found["position"] == first.position


def test_an_unknown_id_is_a_problem(client: httpx.Client) -> None:
    """404, with a type that programs may go by."""
    response = client.get("/events/by-id/unknown")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:tidings:problem:no-event"
    assert client.get("/events/by-id/unknown?sorce=x").status_code == 422
