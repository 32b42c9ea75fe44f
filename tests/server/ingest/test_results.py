"""What became of each event, in bounded memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidings.errors import InvalidEvent
from tidings.event import Event
from tidings.record import placed
from tidings.server.ingest import results as module
from tidings.server.ingest.results import Results

ERROR = InvalidEvent("type", "", "must not be empty")


def stored(position: int) -> Event:
    """An event that a store has taken."""
    record = Event("x", id=f'e"{position}').record
    return Event.from_record(placed(record, position, None, 1))


def told(results: Results) -> Any:
    """The answer's body."""
    return json.loads(results.body())


def test_in_order() -> None:
    """Places and problems stand where their events stood."""
    results = Results()
    results.keep([stored(1)])
    results.refuse(ERROR, 1, 7)
    results.keep([stored(2)])
    body = told(results)
    assert (body["kept"], body["failed"], body["complete"], results.status) == (2, 1, True, 207)
    assert body["results"][0] == {"id": 'e"1', "position": 1, "version": None}
    problem = body["results"][1]["problem"]
    assert (problem["index"], problem["line"], problem["status"]) == (1, 7, 422)


def test_beyond_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places end, problems go on for a while, counts for good; the body says that it is not all."""
    monkeypatch.setattr(module, "MOST_RESULTS", 3)
    monkeypatch.setattr(module, "MOST_LATER_PROBLEMS", 2)
    results = Results()
    results.keep(stored(n) for n in (1, 2, 3))
    assert told(results)["complete"] is True
    results.refuse(ERROR, 3)
    assert told(results)["complete"] is True
    results.keep(stored(n) for n in (4, 5))
    for index in range(6, 9):
        results.refuse(ERROR, index)
    body = told(results)
    assert (body["kept"], body["failed"], body["complete"]) == (5, 4, False)
    assert [each.get("position", "no") for each in body["results"]] == [1, 2, 3, "no", "no"]
    assert [each["problem"]["index"] for each in body["results"][3:]] == [3, 6]
