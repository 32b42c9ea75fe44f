"""`/log/remains` and `/log/adopt`: what strangers send is judged, and keys keep their bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tidings.event import Event
from tidings.store.base import REMAINS_PAGE, Summary
from tidings.store.memory import MemoryStore

if TYPE_CHECKING:
    import httpx

NAMES = Summary._fields


def good() -> dict[str, Any]:
    """A summary of an aggregate whose only event was pruned, by field."""
    store = MemoryStore()
    store.append([Event("x", aggregate_type="agent", aggregate_id="strange", correlation_id="w")])
    store.prune(1)
    return store.remains()[0]._asdict()


def adopt(client: httpx.Client, **values: Any) -> httpx.Response:
    """Ask a server to adopt that summary, with some values changed."""
    row = list({**good(), **values}.values())
    return client.post("/log/adopt", content=json.dumps({"pruned": 0, "summaries": [row]}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", None),
        ("kind", "x\ny"),
        ("id", ""),
        ("id", "x" * 256),
        ("project", 7),
        ("state", ["done"]),
        ("status", "\ud800"),
        ("version", 0),
        ("version", None),
        ("version", True),
        ("version", 2**63),
        ("successes", -1),
        ("failures", 1.5),
        ("first_position", 0),
        ("last_position", "1"),
        ("first_instant", 2**60),
        ("last_instant", -(2**60)),
        ("first_type", None),
        ("last_type", {}),
        ("correlation_id", ""),
        ("correlation_id", 1),
    ],
)
def test_each_value_of_a_summary_is_judged(client: httpx.Client, field: str, value: Any) -> None:
    """A value that no summary has is named, and nothing is adopted."""
    answer = adopt(client, **{field: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
    remaining = client.post("/log/remains", content="{}").json()["summaries"]
    assert "strange" not in json.dumps(remaining)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"pruned": 1},
        {"pruned": -1, "summaries": []},
        {"pruned": True, "summaries": []},
        {"pruned": 2**63, "summaries": []},
        {"pruned": 0, "summaries": {}},
        {"pruned": 0, "summaries": [7]},
        {"pruned": 0, "summaries": [["agent"]]},
        {"pruned": 0, "summaries": [[]] * (REMAINS_PAGE + 1)},
        {"pruned": 0, "summaries": [], "more": 1},
    ],
)
def test_a_request_of_another_form_is_refused(client: httpx.Client, body: Any) -> None:
    """It says what is wrong, and changes nothing."""
    answer = client.post("/log/adopt", content=json.dumps(body))
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("after", ["x", ["x"], ["x", 7], [None, None], 7, ["a", "b", "c"]])
def test_a_page_goes_on_from_a_kind_and_an_id(client: httpx.Client, after: Any) -> None:
    """Anything else to go on from is refused."""
    answer = client.post("/log/remains", content=json.dumps({"after": after}))
    assert answer.status_code == 422, answer.text


def test_a_summary_that_contradicts_is_refused(client: httpx.Client) -> None:
    """What speaks of events that the store does not have is refused as by any store."""
    answer = adopt(client, last_position=2**62)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "summary")
