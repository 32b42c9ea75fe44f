"""The filters every reading command knows, and the query they make.

What a filter means is said in `tidings.store.query`; this is only how it is typed.
"""

from __future__ import annotations

from tidings.cli.command import Option, WrongUsage
from tidings.cli.moments import read_moment
from tidings.cli.values import read_aggregate, read_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.cli.command import Given

__all__ = ["FILTERS", "filters_of"]


FILTERS = (
    Option(("--type",), "TYPE", "of this type, or of those that start so: 'job.*'", repeat=True),
    Option(("--project",), "NAME", "of this project", repeat=True),
    Option(("--status",), "WORD", "with this outcome: success, failure", repeat=True),
    Option(("--source",), "WORD", "from this source: local, hpc, ci, …", repeat=True),
    Option(("--workflow",), "ID", "that belong to this undertaking (correlation id)"),
    Option(("--agent",), "ID", "about this agent; short for --aggregate agent/ID"),
    Option(("--aggregate",), "TYPE/ID", "about this thing", read=read_aggregate),
    Option(("--caused-by",), "ID", "caused by this event or aggregate"),
    Option(("--user",), "ID", "on behalf of this user"),
    Option(("--id",), "ID", "with this id", repeat=True),
    Option(("--since",), "WHEN", "that happened at or after: 1h, 2026-01-01, …", read=read_moment),
    Option(("--until",), "WHEN", "that happened before", read=read_moment),
    Option(
        ("--where",),
        "KEY=VALUE",
        "whose payload has this value; KEY:=JSON for any but strings",
        read=read_pair,
        repeat=True,
    ),
    Option(("--contains",), "TEXT", "whose payload contains this text"),
    Option(("--not-type",), "TYPE", "not of this type", repeat=True),
    Option(("--not-project",), "NAME", "not of this project", repeat=True),
    Option(("--not-status",), "WORD", "not with this outcome", repeat=True),
    Option(("--not-source",), "WORD", "not from this source", repeat=True),
)
"""Which events; all that are given must hold, and of a repeated one any."""


def filters_of(given: Given) -> dict[str, Any]:
    """The keyword arguments for `Query` that the filters given stand for.

    Raises:
        WrongUsage: two of them contradict each other.
        InvalidQuery: one of them makes no sense.
    """
    chosen = {
        "ids": given["id"],
        "types": given["type"],
        "project": given["project"],
        "status": given["status"],
        "source": given["source"],
        "correlation_id": given["workflow"],
        "causation_id": given["caused_by"],
        "user_id": given["user"],
        "since": given["since"],
        "until": given["until"],
        "payload": dict(given["where"]),
        "contains": given["contains"],
        **_aggregate(given),
        "exclude": _exclusion(given),
    }
    return {name: value for name, value in chosen.items() if value not in (None, [], {})}


def _aggregate(given: Given) -> dict[str, str]:
    if given["agent"] is not None and given["aggregate"] is not None:
        raise WrongUsage("--agent is short for --aggregate agent/ID; give one of the two")
    if given["agent"] is not None:
        return {"aggregate_type": "agent", "aggregate_id": given["agent"]}
    if given["aggregate"] is not None:
        kind, name = given["aggregate"]
        return {"aggregate_type": kind, "aggregate_id": name}
    return {}


def _exclusion(given: Given) -> Any:
    excluded = {
        "types": given["not_type"],
        "project": given["not_project"],
        "status": given["not_status"],
        "source": given["not_source"],
    }
    if not any(excluded.values()):
        return None
    from tidings.store.query import Filter

    return Filter(**{name: words for name, words in excluded.items() if words})
