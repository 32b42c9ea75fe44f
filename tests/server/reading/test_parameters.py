"""The description of query parameters: it names what is taken, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tidings.server.asking import FILTERS, WINDOW, query_of
from tidings.server.parameters import FILTER_PARAMETERS, WINDOW_PARAMETERS

_EXAMPLES = {"date-time": "2026-01-01T12:00:00Z"}


def test_every_parameter_is_described() -> None:
    """Each one that is taken, once, but for a second name of one."""
    assert [each["name"] for each in FILTER_PARAMETERS] == [
        name for name in FILTERS if name != "workflow"
    ]
    assert {each["name"] for each in WINDOW_PARAMETERS} == set(WINDOW)


@pytest.mark.parametrize(
    "described", [*FILTER_PARAMETERS, *WINDOW_PARAMETERS], ids=lambda each: each["name"]
)
def test_what_is_described_is_taken(described: dict[str, Any]) -> None:
    """A value of the schema makes a query, and a second one only where several are allowed."""
    schema = described["schema"]
    several = schema.get("type") == "array"
    one = schema["items"] if several else schema.get("anyOf", [schema])[0]
    values = one.get("enum", [_EXAMPLES.get(one.get("format"), "7")])
    name = described["name"]
    assert query_of([(name, values[-1])]) != query_of([])
    if several:
        assert query_of([(name, "one"), (name, "two")]) != query_of([(name, "one")])
