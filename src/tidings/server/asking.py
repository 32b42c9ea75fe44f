"""Query parameters of a URL, and the query they make; the same for lists, charts and live streams.

Keeps promise 5: a parameter that is not known is refused, because a filter that was mistyped must
not give everything. What a filter means is said in `tidings.store.query`.
"""

from __future__ import annotations

from json import loads

from tidings.errors import InvalidQuery, shorten
from tidings.event_item import WIRE_TYPES, read_aggregate_type
from tidings.store.query import Filter, Query
from tidings.timestamps import parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

__all__ = ["FILTERS", "WINDOW", "query_of", "read_moment", "read_whole"]

_SEVERAL = {
    "id": "ids",
    "type": "types",
    "project": "project",
    "status": "status",
    "source": "source",
}
_ONE = {
    "aggregate_id": "aggregate_id",
    "correlation_id": "correlation_id",
    "workflow": "correlation_id",
    "causation_id": "causation_id",
    "user_id": "user_id",
    "contains": "contains",
}
_TIMES = ("since", "until")
_EXCLUDED = {"not.type": "types", "not.project": "project", "not.status": "status",
             "not.source": "source"}  # fmt: skip
_PAYLOAD = "payload."

FILTERS = (*_SEVERAL, "event_type", "aggregate_type", *_ONE, *_TIMES, *_EXCLUDED)
"""The parameters that say which events; `payload.KEY=text` and `payload.KEY:=JSON` beside them."""

WINDOW = ("after", "before", "limit", "order")
"""The parameters that say which part of them."""

_MOST = 100
"""So many parameters are combined at most; SQLite's own bound is a thousand conditions."""

_LARGEST = 2**63 - 1
_TYPE_NAMES = {wire: ours for ours, wire in WIRE_TYPES.items()}


def query_of(
    params: Sequence[tuple[str, str]], *, beside: Iterable[str] = (), backwards: bool = False
) -> Query:
    """The query that parameters ask for.

    Args:
        params: names and values, in order.
        beside: parameters that mean something else to the route; left alone.
        backwards: whether the newest come first where `order` says nothing.

    Raises:
        InvalidQuery: a parameter is not known, stands twice, or makes no sense.

    >>> query_of([("type", "job.*"), ("payload.host", "n12"), ("limit", "5")])
    Query(payload={'host': 'n12'}, types=('job.*',), limit=5)
    """
    if len(params) > _MOST:
        raise InvalidQuery(f"{len(params)} parameters are given; at most {_MOST} are taken")
    elsewhere = tuple(beside)
    asked = _Asked(elsewhere)
    for name, value in params:
        if name not in elsewhere:
            asked.take(name, value)
    asked.arguments.setdefault("backwards", backwards)
    if asked.excluded:
        asked.arguments["exclude"] = Filter(**asked.excluded)
    return Query(**asked.arguments)


class _Asked:
    """The arguments of a query, as far as they were asked for."""

    def __init__(self, beside: Iterable[str]) -> None:
        self.beside = beside
        self.arguments: dict[str, Any] = {}
        self.excluded: dict[str, Any] = {}

    def take(self, name: str, value: str) -> None:
        if name in _SEVERAL:
            self.arguments.setdefault(_SEVERAL[name], []).append(value)
        elif name == "event_type":
            self._take_event_type(value)
        elif name == "aggregate_type":
            self._once("aggregate_type", read_aggregate_type(value), name, value)
        elif name in _ONE:
            self._once(_ONE[name], value, name)
        elif name in _TIMES:
            self._take_time(name, value)
        elif name in _EXCLUDED:
            self.excluded.setdefault(_EXCLUDED[name], []).append(value)
        elif name.startswith(_PAYLOAD) and len(name) > len(_PAYLOAD):
            self._take_payload(name.removeprefix(_PAYLOAD), value)
        elif name == "order":
            self._once("backwards", _order(value), name)
        elif name in WINDOW:
            self._once(name, read_whole(name, value), name)
        else:
            hint = _hint(name, self.beside)
            raise InvalidQuery(f"the parameter {shorten(name)} is not known; {hint}")

    def _take_time(self, name: str, value: str) -> None:
        # Empty counts as not given: the peer's clients send the fields of an empty form.
        if value:
            self._once(name, read_moment(name, value), name)

    def _take_event_type(self, value: str) -> None:
        # On the wire an agent's events are all of type AgentEvent; their own type is `event_name`.
        if value in _TYPE_NAMES:
            self._once("aggregate_type", _TYPE_NAMES[value], "event_type", value)
        else:
            self.arguments.setdefault("types", []).append(value)

    def _take_payload(self, key: str, value: str) -> None:
        wanted = self.arguments.setdefault("payload", {})
        if not key.endswith(":"):
            wanted[key] = value
            return
        try:
            wanted[key[:-1]] = loads(value)
        except (ValueError, RecursionError):
            raise InvalidQuery(f"payload.{key}={shorten(value)} must be JSON") from None

    def _once(self, argument: str, value: Any, name: str, given: Any = None) -> None:
        if self.arguments.get(argument, value) != value:
            shown = shorten(value if given is None else given)
            raise InvalidQuery(f"{name} {shown} contradicts another parameter; give only one value")
        self.arguments[argument] = value


def read_whole(name: str, value: str, largest: int = _LARGEST) -> int:
    """A whole number from 0 on.

    Raises:
        InvalidQuery: it is none, or too large.
    """
    if not value.isascii() or not value.isdecimal() or len(value) > 19 or int(value) > largest:
        raise InvalidQuery(f"{name} {shorten(value)} must be a whole number from 0 to {largest}")
    return int(value)


def read_moment(name: str, value: str) -> int:
    """A moment, as an instant (microseconds since 1970).

    Raises:
        InvalidQuery: it is none.
    """
    try:
        # A time without offset is UTC here, as eventuali writes them. A plus sign that was not
        # escaped arrives as a space.
        return parse_instant(value.replace(" ", "+") if "T" in value else value, naive="utc")
    except (ValueError, OverflowError):
        raise InvalidQuery(
            f"{name} {shorten(value)} must be a moment such as 2026-01-01T12:00:00Z"
        ) from None


def _order(value: str) -> bool:
    if value not in ("asc", "desc"):
        raise InvalidQuery(f"order {shorten(value)} must be asc or desc")
    return value == "desc"


def _hint(name: str, beside: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = (*FILTERS, *WINDOW, *beside)
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}, payload.KEY"
