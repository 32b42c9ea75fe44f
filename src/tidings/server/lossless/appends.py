"""Batches that strangers send: judged as strictly as any event, kept, and their fates told.

Keeps promise 5 (bad input gets a clear error and changes nothing) and the contract of
`Store.append_all`: one batch that is refused does not disturb the others.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from tidings import settings
from tidings.errors import (
    InvalidQuery,
    OutcomeUnknown,
    StoreClosed,
    StoreUnavailable,
    TidingsError,
)
from tidings.fields import encode_json
from tidings.server.ingest.intake import count_refusal, without_others
from tidings.server.lossless.bodies import answer_json, asked_json, listed, problem_with_rule
from tidings.server.lossless.records import ensure_may_write
from tidings.server.problems import Problem
from tidings.store.wire import MOST_BATCHES, MOST_SENT_BYTES, batch_of, kept_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event
    from tidings.server.access import Caller
    from tidings.server.calls import Call
    from tidings.store.base import Batch

__all__ = ["MOST_BYTES", "append"]

MOST_BYTES = MOST_SENT_BYTES + 1024
"""A batch of the largest size, and what stands around it."""

_FEW_EVENTS = 100
"""So many events are decoded in the event loop: a thread would take longer."""

_OF_THE_STORE = (StoreUnavailable, OutcomeUnknown, StoreClosed)


async def append(call: Call) -> None:
    """Answer `POST /log/append`: each batch is kept, or refused without disturbing the others."""
    asked = await asked_json(call, {"batches"}, most=MOST_BYTES)
    sent = listed("batches", asked["batches"])
    if len(sent) > MOST_BATCHES:
        raise InvalidQuery(f"batches must be at most {MOST_BATCHES:,}, not {len(sent):,}")
    started = perf_counter()
    if _events_in(sent) > _FEW_EVENTS:
        made = await asyncio.to_thread(_batches, sent, call.caller)
    else:
        made = _batches(sent, call.caller)
    _ensure_some_are_allowed(made)
    good = [batch for batch in made if not isinstance(batch, Exception)]
    kept = iter(await call.service.bus.keep_all(good)) if good else iter(())
    results = [batch if isinstance(batch, Exception) else next(kept) for batch in made]
    results = [
        without_others(result, call.caller) if isinstance(result, Exception) else result
        for result in results
    ]
    _count(call, results, perf_counter() - started)
    _ensure_store_serves(results)
    if _events_in(sent) > _FEW_EVENTS:
        await answer_json(call, await asyncio.to_thread(_told, sent, results))
    else:
        await answer_json(call, _told(sent, results))


def _events_in(sent: list[Any]) -> int:
    """How many events were sent, about: the form of batches is not yet known."""
    return sum(
        len(batch[name])
        for batch in sent
        if isinstance(batch, dict)
        for name in ("events", "put")
        if isinstance(batch.get(name), list)
    )


def _batches(sent: list[Any], caller: Caller) -> list[Batch | TidingsError]:
    """Each batch as it was sent, or why it is refused: one does not disturb the others."""
    return [_batch(data, caller, settings.max_payload()) for data in sent]


def _batch(data: object, caller: Caller, max_payload: int) -> Batch | TidingsError:
    try:
        batch = batch_of(data, max_payload)
        for event in batch.events:
            caller.require_project(event.project)
        for put in batch.put:
            ensure_may_write(caller, put.key)
    except TidingsError as error:
        return error
    return batch


def _ensure_some_are_allowed(made: list[Batch | TidingsError]) -> None:
    """Refuse the request where its key allows nothing of it, so that the client knows why."""
    refusals = [each for each in made if isinstance(each, Problem)]
    if refusals and len(refusals) == len(made):
        raise refusals[0]


def _ensure_store_serves(results: list[list[Event] | Exception]) -> None:
    """Tell that the store is away as an answer of its own: the client then spools everything."""
    for result in results:
        if isinstance(result, _OF_THE_STORE):
            raise result


def _count(call: Call, results: list[list[Event] | Exception], seconds: float) -> None:
    metrics = call.service.metrics
    for result in results:
        if isinstance(result, Exception):
            count_refusal(metrics, result)
        else:
            metrics.appended(len(result), seconds)


def _told(sent: list[Any], results: list[list[Event] | Exception]) -> bytes:
    told = [
        {"problem": problem_with_rule(result).to_dict()}
        if isinstance(result, Exception)
        else {"kept": kept_data(batch, result)}
        for batch, result in zip(sent, results, strict=True)
    ]
    return encode_json({"results": told}).encode()
