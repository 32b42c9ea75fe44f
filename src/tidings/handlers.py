"""Handlers: what a bus was told to call for which events, and how.

Keeps its part of promise 5: a declaration that makes no sense is refused where it stands. One
without a name is a *listener*: it is called in this process for what this bus keeps (`listeners`).
One with a name is a subscription, run by `subscriptions` in any number of processes. Declarations
only; nothing is called here.
"""

from __future__ import annotations

import inspect
import re

from tidings.errors import InvalidQuery, InvalidSetting, shorten
from tidings.schedule import Schedule
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    Function: TypeAlias = Callable[..., Any]

__all__ = ["NAME", "Handler", "check_name", "declared", "wanted"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
"""The names of subscriptions, and of watches and notices."""

_MOST_PARTITIONS = 1024
_ATTEMPTS = 10
_MOST_ATTEMPTS = 1000
_STARTS = ("beginning", "now")
_ENDS = ("skip", "hold")
_WINDOW = ("after", "before", "limit", "backwards")


class Handler:
    """A function that is to be called for events.

    Args:
        function: takes an event, and with `outbox` an `Outbox` too; plain or async.
        name: names the subscription whose reader it is; none makes it a listener.
        query: which events; its window is not looked at.
        start: where a new subscription begins: `beginning`, `now`, or past a position. Once it has
            begun, it goes on from where it was.
        partitions: so many processes, and threads, can work at it at the same time, 1–1024.
        schedule: when a failed event is tried again, and how often; none for ten attempts in eight
            minutes.
        on_failure: what becomes of an aggregate whose event was given up: `skip` goes on with its
            next event, `hold` waits for a person.
        outbox: whether what it emits through its second argument is kept in one transaction with
            the note that the event was handled.

    Raises:
        InvalidSetting: an argument makes no sense.

    >>> handler = Handler(print, name="show", query=Query(types="job.*"), partitions=4)
    >>> handler
    Handler(print, name='show', partitions=4)
    """

    __slots__ = (
        "function",
        "is_async",
        "name",
        "on_failure",
        "outbox",
        "partitions",
        "query",
        "schedule",
        "start",
    )

    def __init__(
        self,
        function: Function,
        *,
        name: str | None,
        query: Query,
        start: str | int = "beginning",
        partitions: int = 1,
        schedule: Schedule | None = None,
        on_failure: str = "skip",
        outbox: bool = False,
    ) -> None:
        if name is not None:
            check_name("handler", name)
        self.name = name
        self.is_async = _checked_function(function, outbox=outbox)
        self.function = function
        self.query = query
        self.start = _checked_start(start)
        if not _is_whole(partitions) or not 1 <= partitions <= _MOST_PARTITIONS:
            raise InvalidSetting(
                f"partitions {shorten(partitions)} must be a whole number from 1 to "
                f"{_MOST_PARTITIONS}"
            )
        self.partitions = partitions
        if schedule is not None and not isinstance(schedule, Schedule):
            raise InvalidSetting(
                f"schedule {shorten(schedule)} must be a Schedule, such as Schedule([1, 10, 60])"
            )
        self.schedule = Schedule.doubling(_ATTEMPTS) if schedule is None else schedule
        if on_failure not in _ENDS:
            raise InvalidSetting(f"on_failure {shorten(on_failure)} must be skip or hold")
        self.on_failure = on_failure
        self.outbox = outbox

    def __repr__(self) -> str:
        partitions = "" if self.partitions == 1 else f", partitions={self.partitions}"
        return f"Handler({_called(self.function)}, name={self.name!r}{partitions})"


def check_name(kind: str, name: object) -> None:
    """See that a name can be one.

    Args:
        kind: what it is to name, for the message: `handler`, `watch`.
        name: what was given.

    Raises:
        InvalidSetting: it cannot.
    """
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidSetting(
            f"the name of a {kind} {shorten(name)} must be 1–100 of A–Z, a–z, 0–9, dot, "
            f"underscore, colon and hyphen, and begin with a letter or a digit"
        )


def wanted(types: Iterable[str], filters: dict[str, Any]) -> Query:
    """The query of a declaration: types given by position, everything else by keyword.

    Raises:
        InvalidSetting: it has a window, or types were given twice.
        InvalidQuery: a filter makes no sense.

    >>> wanted(["job.*"], {"status": "failure"})
    Query(status=('failure',), types=('job.*',))
    """
    types = tuple(types)
    if types and callable(types[0]):
        raise InvalidSetting("on() must be called: write @bus.on(), or @bus.on(TYPE, …)")
    if types and "types" in filters:
        raise InvalidSetting("types were given by position and as types=; give them once")
    for name in _WINDOW:
        if name in filters:
            raise InvalidSetting(
                f"{name} is for reading; a handler begins at from_= and goes on for good"
            )
    if types:
        filters = {**filters, "types": types}
    try:
        return Query(**filters)
    except InvalidQuery as error:
        if "unexpected keyword" not in str(error):
            raise
        raise InvalidSetting(f"on() {error}; it takes its own arguments and filters") from None


def declared(
    known: list[Handler],
    function: Function,
    name: str | None,
    query: Query,
    start: str | int,
    partitions: int,
    attempts: int,
    schedule: Schedule | None,
    on_failure: str,
    outbox: bool,  # noqa: FBT001 - all are given as `Bus.on` got them
) -> Handler:
    """The handler or listener that `Bus.on` was told of; a handler joins those that are known.

    Raises:
        InvalidSetting: an argument makes no sense, or another handler has its name.
    """
    if name is None:
        said = {
            "from_": start != "beginning",
            "partitions": partitions != 1,
            "attempts": attempts != _ATTEMPTS,
            "schedule": schedule is not None,
            "on_failure": on_failure != "skip",
            "outbox": outbox,
        }
        for what in [argument for argument, is_said in said.items() if is_said]:
            raise InvalidSetting(
                f'{what} is for handlers with a name; give one: @bus.on(…, name="notify")'
            )
    if not _is_whole(attempts) or not 1 <= attempts <= _MOST_ATTEMPTS:
        raise InvalidSetting(
            f"attempts {shorten(attempts)} must be a whole number from 1 to {_MOST_ATTEMPTS}"
        )
    if schedule is not None and attempts != _ATTEMPTS:
        raise InvalidSetting("attempts and schedule both say how often it is tried; give one")
    handler = Handler(
        function,
        name=name,
        query=query,
        start=start,
        partitions=partitions,
        schedule=Schedule.doubling(attempts) if schedule is None else schedule,
        on_failure=on_failure,
        outbox=outbox,
    )
    if name is not None:
        for other in known:
            if other.name == name:
                raise InvalidSetting(
                    f"{other} has the name {name} already; each handler needs its own, under which "
                    f"its position is kept"
                )
        known.append(handler)
    return handler


def _checked_function(function: Any, *, outbox: bool) -> bool:
    """Whether it is async; refuses what could not be called with an event."""
    if not callable(function):
        raise InvalidSetting(f"a handler must be a function, and {shorten(function)} is none")
    # An object that can be called is async, or yields, if its class says so.
    bodies = (function, type(function).__call__)
    if any(inspect.isgeneratorfunction(b) or inspect.isasyncgenfunction(b) for b in bodies):
        raise InvalidSetting(
            f"{_called(function)} yields, so that calling it would do nothing; a handler returns"
        )
    takes = ("event", "outbox") if outbox else ("event",)
    try:
        inspect.signature(function).bind(*takes)
    except TypeError as error:
        raise InvalidSetting(
            f"{_called(function)} must take {' and '.join(takes)} by position: {error}"
        ) from None
    except ValueError:
        pass  # one written in C that tells nothing of its arguments
    return any(inspect.iscoroutinefunction(body) for body in bodies)


def _called(function: Any) -> str:
    """What a function is called, in messages."""
    return getattr(function, "__qualname__", None) or shorten(function)


def _checked_start(start: object) -> str | int:
    if isinstance(start, str) and start in _STARTS:
        return start
    if isinstance(start, int) and _is_whole(start) and 0 <= start < 2**63:
        return start
    raise InvalidSetting(
        f"from_ {shorten(start)} must be beginning, now, or a position (a whole number from 0 on)"
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
