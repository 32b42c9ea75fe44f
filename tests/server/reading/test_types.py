"""Event types over HTTP: what the catalog says, what occurs, and how one is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tidings.built_in_types import BUILT_IN
from tidings.bus import Bus

Walk = Callable[[str, str], list[dict[str, Any]]]


def test_known_types_and_those_that_occur_are_listed(
    client: httpx.Client, bus: Bus, walk: Walk
) -> None:
    """By name, with counts and the newest."""
    bus.emit("listed.type")
    last = bus.emit("listed.type")
    types = {each["type"]: each for each in client.get("/events/types").json()["types"]}
    assert {*BUILT_IN, "listed.type"} <= {*types}
    assert types["listed.type"] == {
        "type": "listed.type", "known": False, "description": "", "payload_keys": [],
        "aggregate_type": None, "has_schema": False, "count": 2, "last_position": last.position,
        "last_seen": last.timestamp,
    }  # fmt: skip
    assert types["agent.started"]["aggregate_type"] == "agent"
    assert types["agent.started"]["known"] is True
    names = [each["type"] for each in walk("/events/types?limit=3", "types")]
    assert names == sorted(types)


@pytest.mark.parametrize("name", ["registered", "reg/is tered?"])
def test_a_registered_type_is_known_to_all(client: httpx.Client, bus: Bus, name: str) -> None:
    """What one client registers, others read, over HTTP or beside it."""
    schema = {"type": "object", "required": ["n"]}
    new = {"type": name, "description": "It was", "payload_keys": ["n"], "schema": schema}
    response = client.post("/events/types", json=new)
    assert response.status_code == 201
    location = httpx.URL(str(response.url)).join(response.headers["location"])
    told = client.get(location).json()
    assert told == {**new, "known": True, "has_schema": True, "count": 0}
    assert response.json() == told
    assert bus.get_type_info(name)["schema"] == schema


def test_an_unknown_type_is_a_problem(client: httpx.Client) -> None:
    """404, and what to do."""
    response = client.get("/events/types/nobody.knows")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:tidings:problem:no-type"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"type": ""}, {"type": "x" * 251}, {"type": "a\nb"}, {"type": "x", "keys": ["n"]},
        {"type": "x", "payload_keys": [1]}, {"type": "x", "schema": {"type": "objecto"}},
        {"type": "x", "schema": []}, [], "x",
    ],
)  # fmt: skip
def test_what_is_no_type_is_refused(client: httpx.Client, bus: Bus, body: object) -> None:
    """Bad input gets a clear error and changes nothing."""
    before = bus.list_types()
    response = client.post("/events/types", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert bus.list_types() == before


def test_a_registration_is_bounded(client: httpx.Client) -> None:
    """413 for one that is too large."""
    body = {"type": "large", "description": "x" * 300_000}
    response = client.post("/events/types", json=body)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "typ=x"])
def test_unknown_parameters_are_refused(client: httpx.Client, query: str) -> None:
    """As everywhere."""
    assert client.get(f"/events/types?{query}").status_code == 422
