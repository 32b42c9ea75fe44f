"""`/log`: the log of the store, lossless, for `RemoteStore` (`Bus("http://…")`).

Each call of the store contract is a route. What is sent is checked as strictly as on any other
route (promise 5); pages are bounded, so that a reading takes the server little memory, and goes on
after a restart. A key that is bound to projects reads and writes only these.
"""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory
from time import monotonic

from tidings import settings
from tidings.errors import InvalidEvent, InvalidQuery, shorten
from tidings.removing import prune, redact
from tidings.server.calls import BareRoute
from tidings.server.lossless.appends import MOST_BYTES, append
from tidings.server.lossless.bodies import (
    answer_json,
    asked_json,
    listed,
    natural,
    problem_with_rule,
)
from tidings.server.lossless.copies import public_copy
from tidings.server.lossless.pages import PAGE_EVENTS, page_of
from tidings.server.lossless.remains import adopt, remains
from tidings.server.routes.overviews import whole_for
from tidings.store.query import Query
from tidings.store.standing import Standing
from tidings.store.wire import event_row, query_of, restored_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.event import Event
    from tidings.server.access import Caller
    from tidings.server.calls import Call
    from tidings.store.base import Store

__all__ = ["BARE"]

_LONGEST_WAIT = 25.0
_WAIT_SLICE = 2.0
"""How often who waits looks whether the server is about to end (seconds)."""

_PIECE = 256 * 1024
_SQLITE = "application/vnd.sqlite3"

# Writing ------------------------------------------------------------------------------------------


async def _restore(call: Call) -> None:
    call.caller.require_all_projects()
    asked = await asked_json(call, {"events"}, most=MOST_BYTES)
    rows = listed("events", asked["events"])

    def restore() -> int:
        most = settings.max_payload()
        return call.service.store.restore(restored_event(row, most) for row in rows)

    try:
        restored = await asyncio.to_thread(restore)
    except InvalidEvent as error:
        raise problem_with_rule(error) from error
    await answer_json(call, {"restored": restored})


async def _prune(call: Call) -> None:
    call.caller.require_all_projects()
    asked = await asked_json(call, {"through"})
    through = natural("through", asked["through"])
    try:
        pruned = await asyncio.to_thread(prune, call.service.store, through)
    finally:
        call.service.live.forget()
    await answer_json(call, {"pruned": pruned})


async def _redact(call: Call) -> None:
    query = await _asked_query(call)
    try:
        redacted = await asyncio.to_thread(redact, call.service.store, query)
    finally:
        call.service.live.forget()
    await answer_json(call, {"redacted": redacted})


# Reading ------------------------------------------------------------------------------------------


async def _read(call: Call) -> None:
    query = await _asked_query(call)
    count, page = await asyncio.to_thread(page_of, call.service.store, query)
    call.service.metrics.read(count)
    await answer_json(call, page)


async def _latest(call: Call) -> None:
    asked = await asked_json(call, set(), {"type"})
    name = asked.get("type")
    if name is not None and not isinstance(name, str):
        raise InvalidQuery(f"type {shorten(name)} must be a string")
    event = await asyncio.to_thread(_newest, call.service.store, call.caller, name)
    await answer_json(call, {"event": None if event is None else event_row(event)})


def _newest(store: Store, caller: Caller, name: str | None) -> Event | None:
    if caller.projects is None:
        return store.latest(name)
    wanted = caller.narrow(Query(types=name, backwards=True))
    return next((event for event in store.read(wanted) if name in (None, event.type)), None)


async def _head(call: Call) -> None:
    store = call.service.store
    head, first = await asyncio.to_thread(lambda: (store.head(), store.first()))
    await answer_json(call, {"head": head, "first": first})


async def _catch_up(call: Call) -> None:
    await answer_json(call, {"head": await asyncio.to_thread(call.service.store.catch_up)})


async def _wait(call: Call) -> None:
    asked = await asked_json(call, {"after", "timeout"})
    seconds = asked["timeout"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise InvalidQuery(f"timeout {shorten(seconds)} must be seconds from 0 on")
    after = natural("after", asked["after"])
    with call.service.metrics.waiting():
        head = await _head_past(call, after, min(seconds, _LONGEST_WAIT))
    await answer_json(call, {"head": head})


async def _head_past(call: Call, after: int, seconds: float) -> int:
    """The head, once it is past a position or time is up; no thread waits meanwhile."""
    service = call.service
    end = monotonic() + seconds
    while True:
        left = max(end - monotonic(), 0.0)
        head = await service.bus.wait(after, min(left, _WAIT_SLICE))
        if head > after or left <= _WAIT_SLICE or service.draining:
            return head


async def _types(call: Call) -> None:
    call.caller.require_all_projects()
    found = await asyncio.to_thread(call.service.store.types)
    await answer_json(call, {"types": [list(each) for each in found]})


async def _count(call: Call) -> None:
    query = await _asked_query(call)
    found = await asyncio.to_thread(call.service.store.count, query)
    await answer_json(call, {"count": found.value, "exact": found.exact})


async def _summaries(call: Call) -> None:
    asked = await asked_json(call, {"kind", "query"}, {"state", "quiet_since"})
    standing = Standing(asked.get("state"), asked.get("quiet_since"))
    kind, query = asked["kind"], call.caller.narrow(query_of(asked["query"]))
    if not isinstance(kind, str):
        raise InvalidQuery(f"kind {shorten(kind)} must be a string")
    most = PAGE_EVENTS if query.limit is None else min(query.limit, PAGE_EVENTS)
    page = query.replace(limit=most)
    found = await asyncio.to_thread(call.service.store.summaries, kind, page, standing)
    ended = len(found) < PAGE_EVENTS or query.limit == PAGE_EVENTS
    found = await asyncio.to_thread(whole_for, call.service.store, call.caller, kind, found)
    await answer_json(call, {"summaries": [list(each) for each in found], "ended": ended})


async def _histogram(call: Call) -> None:
    asked = await asked_json(call, {"query", "interval"})
    query, interval = call.caller.narrow(query_of(asked["query"])), asked["interval"]
    if isinstance(interval, bool) or not isinstance(interval, int):
        raise InvalidQuery(f"interval {shorten(interval)} must be a whole number of microseconds")
    found = await asyncio.to_thread(call.service.store.histogram, query, interval)
    await answer_json(call, {"bins": [list(each) for each in found]})


async def _describe(call: Call) -> None:
    store = call.service.store
    facts = await asyncio.to_thread(store.describe)
    # Not the URL: it names a file of this machine, and clients have one of their own.
    told = {name: value for name, value in facts.items() if name != "url"}
    told |= {"durability": store.durability, "atomic_put": store.atomic_put}
    await answer_json(call, told)


async def _check(call: Call) -> None:
    call.caller.require_all_projects()
    await answer_json(call, {"problems": await asyncio.to_thread(call.service.store.check)})


async def _backup(call: Call) -> None:
    call.caller.require_all_projects()
    with TemporaryDirectory(prefix="tidings-backup-") as directory:
        copy, size = await asyncio.to_thread(public_copy, call.service.store, directory)
        headers = [
            (b"content-type", _SQLITE.encode()),
            (b"content-length", b"%d" % size),
        ]
        with copy:
            await call.send({"type": "http.response.start", "status": 200, "headers": headers})
            while piece := await asyncio.to_thread(copy.read, _PIECE):
                await call.send({"type": "http.response.body", "body": piece, "more_body": True})
            await call.send({"type": "http.response.body", "body": b""})


async def _asked_query(call: Call) -> Query:
    asked = await asked_json(call, {"query"})
    return call.caller.narrow(query_of(asked["query"]))


# The routes; their form is between this server and its clients, so no OpenAPI document promises it.

BARE: tuple[BareRoute, ...] = (
    BareRoute("POST", "/log/append", "emit", append, {}),
    BareRoute("POST", "/log/restore", "admin", _restore, {}),
    BareRoute("POST", "/log/remains", "read", remains, {}),
    BareRoute("POST", "/log/adopt", "admin", adopt, {}),
    BareRoute("POST", "/log/read", "read", _read, {}),
    BareRoute("POST", "/log/latest", "read", _latest, {}),
    BareRoute("GET", "/log/head", "read", _head, {}),
    BareRoute("POST", "/log/catch-up", "read", _catch_up, {}),
    BareRoute("POST", "/log/wait", "read", _wait, {}),
    BareRoute("GET", "/log/types", "read", _types, {}),
    BareRoute("POST", "/log/count", "read", _count, {}),
    BareRoute("POST", "/log/summaries", "read", _summaries, {}),
    BareRoute("POST", "/log/histogram", "read", _histogram, {}),
    BareRoute("GET", "/log/describe", "read", _describe, {}),
    BareRoute("GET", "/log/check", "admin", _check, {}),
    BareRoute("GET", "/log/backup", "admin", _backup, {}),
    BareRoute("POST", "/log/prune", "admin", _prune, {}),
    BareRoute("POST", "/log/redact", "admin", _redact, {}),
)
