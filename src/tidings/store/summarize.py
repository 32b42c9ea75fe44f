"""How one event changes the summary of its aggregate and of its correlation.

Keeps one meaning of `Summary` for every backend: each keeps up its summaries by these pure
functions as it appends. It stores nothing and looks nothing up; the caller brings what there was.

Events come late: from spools, retries, hooks that run beside each other, imports. So what has ended
does not run again with a start that happened before its `last_instant`, which is all that is known
of when it ended; where both say the same microsecond, the order of positions holds. For that the
clocks of producers are believed: a restart by a clock that is behind shows only with its end, which
is less bad than one that ended and seems to run for ever. Only a clock that runs far ahead of the
store's orders nothing, or what it says has ended could not run again before that moment.
"""

from __future__ import annotations

from functools import lru_cache

from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CORRELATION_ID,
    INSTANT,
    POSITION,
    PROJECT,
    RECORDED,
    STATUS,
    TYPE,
    VERSION,
)
from tidings.store.base import CORRELATION, Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.record import Record

__all__ = ["fold_aggregate", "fold_correlation", "state_after"]

_RUNNING = "running"

_STATES = {
    **dict.fromkeys(("started",), _RUNNING),
    **dict.fromkeys(("complete", "completed", "done", "ended", "finished", "succeeded"), "done"),
    **dict.fromkeys(("failed", "error", "crashed", "canceled", "cancelled", "timeout"), "failed"),
}
"""The state that each last word of a type brings."""

_AHEAD = 60_000_000
"""So far (microseconds) a producer's clock may run ahead of the store's and is still believed."""

_RUN = "run"
"""The aggregate type of `tidings run`, whose last event may have any type the user names."""


def fold_aggregate(summary: Summary | None, record: Record) -> Summary:
    """The summary of an aggregate after one more of its events.

    Args:
        summary: what it was before; none for its first event.
        record: a stored event's record, with position and version.

    >>> from tidings.event import Event
    >>> about = {"aggregate_type": "run", "aggregate_id": "r1", "position": 1, "version": 1}
    >>> fold_aggregate(None, Event.from_dict({"type": "run.started", **about}).record).state
    'running'
    """
    kind = record[AGGREGATE_TYPE]
    first_type = record[TYPE] if summary is None else summary.first_type
    before = "" if summary is None else summary.state
    after = state_after(before, kind, first_type, record[TYPE], record[STATUS])
    return _folded(
        summary,
        record,
        kind=kind,
        id=record[AGGREGATE_ID],
        state=before if after == _RUNNING and _is_over(summary, record) else after,
        status=record[STATUS] or ("" if summary is None else summary.status),
        version=record[VERSION],
    )


def fold_correlation(summary: Summary | None, record: Record) -> Summary:
    """The summary of a correlation after one more of its events.

    It counts all its events. From the first event on that gives a state to the aggregate of the
    same name (the workflow itself), state and status are that aggregate's, but for a restart whose
    clock is behind a member's. Until then the state is empty, and the status a failure if there was
    any, else the newest.

    Args:
        summary: what it was before; none for its first event.
        record: a stored event's record, with position.
    """
    state, status = _correlation_outcome(summary, record)
    return _folded(
        summary,
        record,
        kind=CORRELATION,
        id=record[CORRELATION_ID],
        state=state,
        status=status,
        version=1 if summary is None else summary.version + 1,
    )


def state_after(state: str, kind: str, first_type: str, event_type: str, status: str) -> str:
    """The state of an aggregate after an event: `running`, `done`, `failed`, or what it was.

    The last word of the type says it (`agent.started`, `test_complete`), where what stands before
    that word is the aggregate's type, nothing, or what stood there in its first event: the
    `tool.completed` of an agent does not end the agent. A run is also over with any event that has
    an outcome, because users name the type of its last event themselves.

    >>> state_after("running", "agent", "agent.started", "agent.completed", "success")
    'done'
    >>> state_after("running", "agent", "agent.started", "tool.failed", "failure")
    'running'
    >>> state_after("running", "run", "run.started", "nightly", "failure")
    'failed'
    """
    subject, word = _subject_and_word(event_type)
    said = _STATES.get(word)
    if said is not None and subject in ("", kind, _subject_and_word(first_type)[0]):
        return "failed" if said == "done" and status == "failure" else said
    if kind == _RUN and status:
        return "failed" if status == "failure" else "done"
    return state


@lru_cache(maxsize=1024)
def _subject_and_word(event_type: str) -> tuple[str, str]:
    """A type without its last word, and that word: of `agent.tool_failed`, `failed`."""
    cut = max(event_type.rfind("."), event_type.rfind("_"))
    return event_type[: max(cut, 0)], event_type[cut + 1 :]


def _correlation_outcome(summary: Summary | None, record: Record) -> tuple[str, str]:
    """State and status of a correlation after an event."""
    state, status = ("", "") if summary is None else (summary.state, summary.status)
    said = record[STATUS]
    if record[AGGREGATE_ID] == record[CORRELATION_ID]:
        first_type = record[TYPE] if summary is None else summary.first_type
        after = state_after(state, record[AGGREGATE_TYPE], first_type, record[TYPE], said)
        if after == _RUNNING and _is_over(summary, record):
            after = state
        if after:
            # What others said before counts no more once the undertaking speaks for itself.
            return after, said or (status if state else "")
    if state:
        return state, status
    return "", status if status == "failure" else said or status


def _is_over(summary: Summary | None, record: Record) -> bool:
    """Whether something had ended already when an event happened that came only now."""
    if summary is None or summary.state in ("", _RUNNING):
        return False
    known, recorded = summary.last_instant, record[RECORDED]
    if recorded is not None and known > recorded + _AHEAD:
        return False
    return bool(record[INSTANT] < known)


def _folded(
    summary: Summary | None,
    record: Record,
    *,
    kind: str,
    id: str,
    state: str,
    status: str,
    version: int,
) -> Summary:
    """What both kinds of summary have in common."""
    outcome, position, instant = record[STATUS], record[POSITION], record[INSTANT]
    if summary is None:
        project, correlation_id = "", None
        first_position, first_instant, first_type = position, instant, record[TYPE]
        successes = failures = 0
    else:
        project, correlation_id = summary.project, summary.correlation_id
        first_position, first_instant = summary.first_position, summary.first_instant
        first_type = summary.first_type
        successes, failures = summary.successes, summary.failures
        instant = max(instant, summary.last_instant)
    return Summary(
        kind=kind,
        id=id,
        project=project or record[PROJECT],
        state=state,
        status=status,
        version=version,
        successes=successes + (outcome == "success"),
        failures=failures + (outcome == "failure"),
        first_position=first_position,
        last_position=position,
        first_instant=first_instant,
        last_instant=instant,
        first_type=first_type,
        last_type=record[TYPE],
        correlation_id=record[CORRELATION_ID] or correlation_id,
    )
