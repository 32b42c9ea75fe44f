"""Keeps the events of a request group by group, each event for itself; or all of them, or none.

A group is one append. Only where the store refuses it as a whole, each of its events is decided
alone, in one durable write again. Keeps promise 1: what the answer calls kept is kept, and where
the store fails midway the answer says how far it came.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from tidings.errors import (
    Conflict,
    IdConflict,
    InvalidEvent,
    OutcomeUnknown,
    StoreClosed,
    StoreUnavailable,
    VersionConflict,
)
from tidings.event import Event
from tidings.server.ingest.results import Results
from tidings.server.problems import Problem, problem_of
from tidings.store.base import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.server.access import Caller
    from tidings.server.calls import Call
    from tidings.server.ingest.idempotency import Idempotency
    from tidings.server.metrics import Metrics
    from tidings.server.service import Service

__all__ = ["Intake", "count_refusal", "keep_all", "keep_whole"]

GROUP_EVENTS = 1000
GROUP_BYTES = 1024 * 1024

_ABOUT_ONE_EVENT = (Conflict, InvalidEvent, Problem)
_OF_THE_STORE = (StoreUnavailable, OutcomeUnknown, StoreClosed)


class Intake:
    """Takes the events of one request; each stands for itself.

    Args:
        call: the request.
        idempotency: of the request, if it may be sent again.

    Attributes:
        results: what became of the events so far.
    """

    def __init__(self, call: Call, idempotency: Idempotency | None) -> None:
        self.results = Results()
        self._service = call.service
        self._caller = call.caller
        self._idempotency = idempotency
        self._waiting: list[tuple[int, int | None, Event | Exception]] = []
        self._bytes = 0
        self._next_index = 0
        self._done = 0
        self._seen = 0

    @property
    def next_index(self) -> int:
        """The place of the event that comes next, from 0."""
        return self._next_index

    @property
    def is_full(self) -> bool:
        """Whether the events that wait are enough for one append."""
        return len(self._waiting) >= GROUP_EVENTS or self._bytes >= GROUP_BYTES

    def skip(self) -> None:
        """Pass over a blank line."""
        self._seen += 1

    def add(self, make: Callable[[], Event], size: int, *, in_lines: bool = False) -> None:
        """Take one event more, or why it is none.

        Args:
            make: makes the event, or raises what is wrong with it.
            size: how much memory it takes, about (bytes).
            in_lines: whether it is a line of its own.
        """
        self._seen += 1
        event: Event | Exception
        try:
            event = make()
            if self._caller.projects is not None:
                self._caller.require_project(event.project)
        except (InvalidEvent, Problem) as error:
            event = error
        self._waiting.append((self._next_index, self._seen if in_lines else None, event))
        self._next_index += 1
        self._bytes += size

    async def flush(self) -> None:
        """Keep what waits.

        Raises:
            Problem: the store failed (503), or the idempotency key was used before (422); it says
                how much of the request was dealt with.
        """
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        events = [event for _, _, event in waiting if isinstance(event, Event)]
        indexes = [index for index, _, event in waiting if isinstance(event, Event)]
        try:
            outcomes = await (self._keep(events, indexes) if events else _nothing_kept())
        except _OF_THE_STORE as error:
            raise self.stopped(problem_of(error)) from error
        self._done = self._seen
        if len(events) == len(waiting) and all(type(each) is Event for each in outcomes):
            self.results.keep(outcomes)  # type: ignore[arg-type]  # just looked at
            return
        left = iter(outcomes)
        for index, line, event in waiting:
            outcome = next(left) if isinstance(event, Event) else event
            if isinstance(outcome, Event):
                self.results.keep((outcome,))
            else:
                count_refusal(self._service.metrics, outcome)
                self.results.refuse(outcome, index, line)

    def stopped(self, problem: Problem) -> Problem:
        """The problem that ended the request, with how far it came."""
        done, kept, failed = self._done, self.results.kept, self.results.failed
        detail = (
            f"{problem.detail}; of this request {kept} events were kept and {failed} refused: its "
            f"first {done} (lines, or events of an array) are dealt with, go on after them"
        )
        members = {**problem.members, "kept": kept, "failed": failed, "done": done}
        headers = (*problem.headers, ("connection", "close"))
        return Problem(problem.status, problem.slug, detail, headers=headers, **members)

    async def _keep(
        self, events: Sequence[Event], indexes: Sequence[int]
    ) -> Sequence[Event | Exception]:
        (result,) = await keep_all(self._service, [Batch(events)])
        if not isinstance(result, Exception):
            return result
        if not isinstance(result, _ABOUT_ONE_EVENT):
            raise result
        if self._idempotency is not None and self._idempotency.digest is not None:
            await self._refuse_reuse(self._idempotency, events, indexes)
        results = await keep_all(self._service, [Batch([event]) for event in events])
        return [self._outcome(each, index) for each, index in zip(results, indexes, strict=True)]

    def _outcome(self, result: list[Event] | Exception, index: int) -> Event | Exception:
        if not isinstance(result, Exception):
            return result[0]
        if not isinstance(result, _ABOUT_ONE_EVENT):
            raise result
        if self._idempotency is not None:
            result = self._idempotency.refusal(result, index)
        return without_others(result, self._caller)

    async def _refuse_reuse(
        self, idempotency: Idempotency, events: Sequence[Event], indexes: Sequence[int]
    ) -> None:
        """Refuse the request as a whole where its key belongs to another body.

        Another body may have more events than the first one had; none of them must be kept. The
        first event that can be kept at all tells.
        """
        for event, index in zip(events, indexes, strict=True):
            if event.id != idempotency.event_id(index):
                continue
            (result,) = await keep_all(self._service, [Batch([event])])
            if not isinstance(result, Exception):
                return
            refusal = idempotency.refusal(result, index)
            if refusal is not result:
                raise refusal


async def keep_whole(
    call: Call,
    events: Sequence[Event],
    expected_version: int | None,
    idempotency: Idempotency | None,
) -> list[Event]:
    """Keep events in one append, all or none.

    Raises:
        TidingsError: as for `Bus.emit`; where it is about one of many events, a `Problem` that
            says which.
    """
    (result,) = await keep_all(call.service, [Batch(events, expected_version)])
    if not isinstance(result, Exception):
        return result
    if not isinstance(result, IdConflict):
        raise result
    ids = [event.id for event in events]
    index = ids.index(result.event_id)
    error = result if idempotency is None else idempotency.refusal(result, index)
    error = without_others(error, call.caller)
    if len(events) == 1:
        raise error
    problem = problem_of(error)
    problem.members["index"] = index
    raise problem from result


def without_others(error: Exception, caller: Caller) -> Exception:
    """The error without what it tells of an event that the caller may not see.

    Which fields differ from it would tell, guess by guess, what that event holds.
    """
    hidden = caller.projects is not None and isinstance(error, IdConflict)
    if not hidden or "project" not in error.differs:  # type: ignore[attr-defined]  # as just asked
        return error
    detail = "this id belongs to an event of another project; give a new event a new id"
    return Problem(409, "id-conflict", detail, event_id=error.event_id)  # type: ignore[attr-defined]


async def keep_all(service: Service, batches: Sequence[Batch]) -> Sequence[list[Event] | Exception]:
    """Keep many independent batches at once, and measure it; as `Bus.keep_all`."""
    started = perf_counter()
    results = await service.bus.keep_all(batches)
    kept = sum(len(result) for result in results if isinstance(result, list))
    if kept:
        service.metrics.appended(kept, perf_counter() - started)
    return results


async def _nothing_kept() -> Sequence[Event]:
    """Let others have their turn: a large array may hold nothing that can be kept."""
    await asyncio.sleep(0)
    return ()


def count_refusal(metrics: Metrics, error: Exception) -> None:
    """Count what was not kept, by why."""
    if isinstance(error, VersionConflict):
        metrics.refused("version_conflict")
    elif isinstance(error, IdConflict):
        metrics.refused("id_conflict")
    elif isinstance(error, _OF_THE_STORE) or problem_of(error).status == 503:
        metrics.refused("unavailable")
    else:
        metrics.refused("invalid")
