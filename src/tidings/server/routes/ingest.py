"""POST /events/: one event, many, or a stream of them, in any of the forms that `formats` tells.

One event is answered with its place. Of many, each stands for itself and has a result of its own,
unless the request asks for all or none. Keeps promise 5 on every body (422, 413, 415, never 500)
and promise 6: bounded bodies, and no event for a project that the caller's key is not for.
"""

from __future__ import annotations

import asyncio
from functools import partial
from json.encoder import encode_basestring as quoted
from urllib.parse import quote

from tidings.errors import InvalidEvent, TidingsError
from tidings.event_item import timestamp_of
from tidings.ids import id_of_key
from tidings.record import FOREIGN_ID, KEY, POSITION, RECORDED, TYPE, VERSION
from tidings.server.calls import BareRoute, too_large
from tidings.server.ingest import operations
from tidings.server.ingest.formats import BATCH, BINARY, JSON, NDJSON, format_of
from tidings.server.ingest.idempotency import Idempotency
from tidings.server.ingest.intake import Intake, count_refusal, keep_whole
from tidings.server.ingest.lines import Lines
from tidings.server.ingest.new_event import event_of, event_of_binary, event_of_cloudevent
from tidings.server.ingest.results import Results
from tidings.server.ingest.sizes import ARRAY_BYTES, longest_body
from tidings.server.ingest.strict_json import read_json
from tidings.server.ingest.wishes import Wishes, wishes_of
from tidings.server.problems import Problem, problem_of
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tidings.event import Event
    from tidings.server.calls import Call

__all__ = ["BARE"]

_LARGE_BODY = 256 * 1024
"""From here on a body is read in a thread, so that the loop goes on meanwhile (bytes)."""


async def take_events(call: Call) -> None:
    """Answer POST /events/."""
    try:
        form = format_of(call)
        if form == JSON:
            await _take_json(call)
        elif form == NDJSON:
            await _take_lines(call)
        elif form == BATCH:
            body = await call.body(ARRAY_BYTES)
            await _take_many(call, body, await _read(body), event_of_cloudevent)
        else:
            await _take_cloudevent(call, form)
    except TidingsError as error:
        count_refusal(call.service.metrics, error)
        raise


async def _take_json(call: Call) -> None:
    max_payload = call.service.max_payload
    longest = longest_body(max_payload)
    body = await call.body(max(ARRAY_BYTES, longest))
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        await _take_many(call, body, await _read(body), None)
        return
    if len(body) > longest:
        raise too_large(longest)
    data = await _read(body)
    wishes = wishes_of(call)
    idempotency = Idempotency.of(call, body)
    await _take_one(call, event_of(data, 0, max_payload, idempotency), wishes, idempotency)


async def _take_cloudevent(call: Call, form: str) -> None:
    max_payload = call.service.max_payload
    body = await call.body(longest_body(max_payload))
    if form == BINARY:
        event = event_of_binary(call.headers, body, max_payload)
    else:
        event = event_of_cloudevent(await _read(body), max_payload)
    await _take_one(call, event, wishes_of(call), None)


async def _take_one(
    call: Call, event: Event, wishes: Wishes, idempotency: Idempotency | None
) -> None:
    if call.caller.projects is not None:
        call.caller.require_project(event.project)
    (kept,) = await keep_whole(call, [event], wishes.expected_version, idempotency)
    record = kept.record
    foreign, version = record[FOREIGN_ID], record[VERSION]
    event_id = id_of_key(record[KEY]) if foreign is None else foreign
    body = (
        f'{{"id":{quoted(event_id)},"type":{quoted(record[TYPE])},'
        f'"position":{record[POSITION]},"version":{"null" if version is None else version},'
        f'"timestamp":{quoted(timestamp_of(kept))},'
        f'"recorded_at":"{format_instant(record[RECORDED])}"}}'
    )
    place = event_id if foreign is None else quote(event_id, safe="")
    location = f"{call.service.config.root_path}/events/by-id/{place}"
    await call.answer(201, body.encode(), headers=((b"location", location.encode()),))


async def _take_many(
    call: Call, body: bytes, values: Any, make: Callable[[object, int], Event] | None
) -> None:
    """Take an array, of our own form or of CloudEvents (whose maker is given)."""
    if not isinstance(values, list):
        raise InvalidEvent("body", type(values).__name__, "must be a JSON array of CloudEvents")
    max_payload = call.service.max_payload
    wishes = wishes_of(call)
    idempotency = Idempotency.of(call, body)
    makes: Iterator[Callable[[], Event]]
    if make is None:
        makes = (
            partial(event_of, value, index, max_payload, idempotency)
            for index, value in enumerate(values)
        )
    else:
        makes = (partial(make, value, max_payload) for value in values)
    if wishes.atomic:
        await _take_all_or_none(call, makes, wishes, idempotency)
        return
    intake = Intake(call, idempotency)
    size = len(body) // max(1, len(values))
    for one in makes:
        intake.add(one, size)
        if intake.is_full:
            await intake.flush()
    await intake.flush()
    await call.answer(intake.results.status, intake.results.body())


async def _take_all_or_none(
    call: Call,
    makes: Iterator[Callable[[], Event]],
    wishes: Wishes,
    idempotency: Idempotency | None,
) -> None:
    events = await asyncio.to_thread(_all_of, makes, call)
    results = Results()
    if events:
        results.keep(await keep_whole(call, events, wishes.expected_version, idempotency))
    await call.answer(results.status, results.body())


def _all_of(makes: Iterator[Callable[[], Event]], call: Call) -> list[Event]:
    """All events, or the problem of the first that is none."""
    events = []
    for index, make in enumerate(makes):
        try:
            events.append(make())
            call.caller.require_project(events[-1].project)
        except (InvalidEvent, Problem) as error:
            problem = problem_of(error)
            problem.members["index"] = index
            raise problem from error
    return events


async def _take_lines(call: Call) -> None:
    """Take NDJSON of any length, in bounded memory."""
    wishes = wishes_of(call)
    if wishes.atomic:
        raise Problem(
            422,
            "invalid-request",
            "lines that come one by one cannot be all or none; send a JSON array for that",
        )
    max_payload = call.service.max_payload
    idempotency = Idempotency.of(call, None)
    intake = Intake(call, idempotency)
    lines = Lines(longest_body(max_payload))

    async def take(each: list[bytes | None]) -> None:
        for line in each:
            if line is not None and (not line or line.isspace()):
                intake.skip()
                continue
            make = partial(_event_in, line, intake.next_index, max_payload, idempotency)
            intake.add(make, len(line or b""), in_lines=True)
            if intake.is_full:
                await intake.flush()

    try:
        async for chunk in call.chunks():
            await take(lines.of(chunk))
        await take(lines.last())
    except Problem as problem:
        if "done" in problem.members:
            raise
        raise intake.stopped(problem) from problem
    await intake.flush()
    await call.answer(intake.results.status, intake.results.body())


def _event_in(
    line: bytes | None, index: int, max_payload: int, idempotency: Idempotency | None
) -> Event:
    if line is None:
        raise too_large(longest_body(max_payload), "line")
    return event_of(read_json(line), index, max_payload, idempotency)


async def _read(body: bytes) -> Any:
    return read_json(body) if len(body) < _LARGE_BODY else await asyncio.to_thread(read_json, body)


BARE = (
    BareRoute("POST", "/events/", "emit", take_events, operations.EVENTS),
    BareRoute("POST", "/events", "emit", take_events, {}),
)
