"""How many events happened when: counts per interval and outcome, for charts.

Of the last 24 hours where nothing is said. The number of bins is bounded, and what only reading
each event could tell is refused. It takes time in proportion to the events of the time shown.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from tidings.bus import OWN_TYPES
from tidings.errors import InvalidQuery, shorten
from tidings.server.access import Caller, needs
from tidings.server.asking import query_of
from tidings.server.openapi import PROBLEM
from tidings.server.paging import asked, once
from tidings.server.parameters import FILTER_PARAMETERS, parameter
from tidings.server.service import service_of
from tidings.timestamps import format_instant, now_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.store.base import Store
    from tidings.store.query import Query

__all__ = ["router"]

router = APIRouter(tags=["overviews"])

_Reader = Annotated[Caller, Depends(needs("read"))]

_SECOND = 1_000_000
_DAY = 86_400
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": _DAY, "w": 7 * _DAY}
_INTERVAL = re.compile(r"([0-9]{1,6})([smhdw]?)")
_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
         _DAY, 7 * _DAY, 30 * _DAY)  # fmt: skip
"""The intervals that are chosen where none is asked for (seconds)."""

_MOST_BINS = 2000
_USUAL_BINS = 60
_OUTCOMES = ("success", "failure", "")


class HistogramBin(BaseModel):
    """How many events happened in one interval."""

    start: str = Field(description="When it begins")
    counts: dict[str, int] = Field(description="How many events of each outcome")
    total: int = Field(description="How many in all")


class HistogramResponse(BaseModel):
    """How many events happened when; empty intervals are there too."""

    since: str = Field(description="From when on events were counted")
    until: str = Field(description="Before when")
    interval: int = Field(description="The width of a bin (seconds)")
    bins: list[HistogramBin] = Field(description="The intervals in order")


@router.get(
    "/events/histogram",
    response_model=HistogramResponse,
    responses={422: PROBLEM},
    openapi_extra={
        "parameters": [
            *(each for each in FILTER_PARAMETERS if each["name"] != "contains"),
            parameter(
                "interval",
                "The width of a bin: seconds, or such as 5m, 1h, 1d; left out, a fitting one",
                {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smhdw]?$"},
            ),
        ]
    },
)
def histogram(request: Request, caller: _Reader) -> HistogramResponse:
    """Counts per interval and outcome, for charts; of the last 24 hours where nothing is said.

    Events that Tidings makes itself (`tidings.*`) are left out unless `type` is given.
    """
    params = asked(request)
    query = caller.narrow(query_of(params, beside=("interval",)))
    _ensure_countable(query)
    window = _window_of(query, once(params, "interval"))
    query = query.replace(since=window.since, until=window.until)
    bins = _counted(service_of(request).store, query, window.width)
    return HistogramResponse(
        since=format_instant(window.since),
        until=format_instant(window.until),
        interval=window.width // _SECOND,
        bins=[_bin(start, bins.get(start, {})) for start in window.starts()],
    )


class _Window(NamedTuple):
    """The time a histogram shows, and the width of its bins; microseconds all."""

    since: int
    until: int
    width: int

    def starts(self) -> Iterable[int]:
        """When the bins begin: at whole multiples of their width."""
        return range(self.since // self.width * self.width, self.until, self.width)


def _ensure_countable(query: Query) -> None:
    """Refuse what no index and no SQL can count, which would read every event of the time."""
    within = query.exclude
    if query.contains or query.payload or (within is not None and within.payload):
        raise InvalidQuery("a histogram knows no contains and no payload.…; ask GET /events/")
    if query.limit is not None or query.after or query.before is not None or query.backwards:
        raise InvalidQuery("a histogram has since and until, not limit, after, before or order")


def _window_of(query: Query, interval: str | None) -> _Window:
    until = now_instant() if query.until is None else query.until
    since = until - _DAY * _SECOND if query.since is None else query.since
    since = max(since, _EARLIEST)
    length = max(0, until - since)
    width = (_fitting(length) if interval is None else _seconds(interval)) * _SECOND
    if length // width > _MOST_BINS:
        raise InvalidQuery(
            f"interval {shorten(interval)} makes {length // width} bins of that time; at most "
            f"{_MOST_BINS} are given: widen it, or narrow since and until"
        )
    return _Window(since, until, width)


_EARLIEST = -62_135_596_800 * _SECOND
"""The first moment that can be written: 0001-01-01T00:00:00Z."""


def _fitting(length: int) -> int:
    """The interval that shows a time in about as many bins as is usual (seconds)."""
    least = -(-length // (_USUAL_BINS * _SECOND))
    return next((nice for nice in _NICE if nice >= least), -(-least // _DAY) * _DAY)


def _seconds(text: str) -> int:
    found = _INTERVAL.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if seconds < 1:
        raise InvalidQuery(f"interval {shorten(text)} must be seconds, or such as 60s, 5m, 1h, 1d")
    return seconds


def _counted(store: Store, query: Query, width: int) -> dict[int, dict[str, int]]:
    """The counts by start, without our own events unless types are asked for."""
    # Counted by their type and taken off: leaving them out of the query would look at each event.
    # They are counted first, so that one that comes meanwhile is not taken off unseen.
    own = [] if query.types else store.histogram(query.replace(types=OWN_TYPES), width)
    bins = {each.start: dict(each.counts) for each in store.histogram(query, width)}
    for each in own:
        counts = bins.setdefault(each.start, {})
        for status, number in each.counts.items():
            counts[status] = max(0, counts.get(status, 0) - number)
    return bins


def _bin(start: int, counts: dict[str, int]) -> HistogramBin:
    shown = {**dict.fromkeys(_OUTCOMES, 0), **{name: n for name, n in counts.items() if n}}
    return HistogramBin(
        start=format_instant(max(start, _EARLIEST)), counts=shown, total=sum(shown.values())
    )
