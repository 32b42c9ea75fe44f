"""What a server's refusal means: its problem (RFC 9457) as the error that it was there.

Keeps: whoever uses a remote store catches the same errors, with the same attributes, as with any
other. Source: the problem types of `tidings.server.problems`, which are stable.
"""

from __future__ import annotations

from json import loads

from tidings import errors
from tidings.errors import (
    HistoryPruned,
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    InvalidSetting,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    RevisionConflict,
    SchemaViolation,
    StoreUnavailable,
    TooLarge,
    VersionConflict,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from tidings.errors import TidingsError

    _Error = TypeVar("_Error", bound=TidingsError)

__all__ = ["batch_error", "error_of"]

_URN = "urn:tidings:problem:"
_AMBIGUOUS = (500, 502, 504)
"""After these nobody knows whether the request was carried out: it failed midway, or a proxy did
not hear the end of it. Source: RFC 9110, section 15.6."""


def error_of(url: str, status: int, body: bytes, *, changes: bool) -> TidingsError:
    """The error that an answer stands for.

    Args:
        url: the server's.
        status: the answer's status, from 300 on.
        body: its body.
        changes: whether the request would have changed the store.
    """
    try:
        problem = loads(body)
        known = _error_in(problem)
        detail = str(problem["detail"])
    except (LookupError, TypeError, ValueError, RecursionError):
        known, detail = None, ""
    if isinstance(known, StoreUnavailable):
        return type(known)(f"the server at {url} cannot serve: {detail}")
    if known is not None:
        return known
    if status in (401, 403):
        return NotAllowed(
            f"the server at {url} refuses this key: {detail or f'it answered {status}'}; set "
            f"TIDINGS_KEY to a key that `tidings keys create` made there"
        )
    if status in _AMBIGUOUS and changes:
        return OutcomeUnknown(
            f"the server at {url} answered {status}, so whether it was done is not known; the same "
            f"events (same ids) may be sent again"
        )
    if 300 <= status < 400:
        return StoreUnavailable(
            f"the server at {url} sends elsewhere ({status}), which is not followed; use the URL "
            f"it leads to"
        )
    if not detail:
        detail = f"it answered {status}, so it may be no Tidings server, or an older one"
    return StoreUnavailable(f"the server at {url} cannot serve: {detail}")


def batch_error(problem: dict[str, Any]) -> TidingsError:
    """Why one batch of several was not kept.

    Raises:
        LookupError, TypeError, ValueError: what the server said has not the form of a problem.
    """
    refused = NotAllowed if problem["status"] in (401, 403) else StoreUnavailable
    return _error_in(problem) or refused(str(problem["detail"]))


def _error_in(problem: dict[str, Any]) -> TidingsError | None:
    """The error that a problem was on the server; none where it stands for none."""
    slug = str(problem["type"]).removeprefix(_URN)
    detail = str(problem["detail"])
    if slug == "version-conflict":
        return VersionConflict(problem["aggregate"], problem["expected"], problem["actual"])
    if slug == "id-conflict":
        # Of another project's event a key bound to projects is told no more than that it is there.
        differs = tuple(problem.get("differs", ("project",)))
        return IdConflict(problem["event_id"], problem.get("position", 0), differs)
    if slug == "revision-conflict":
        return RevisionConflict(problem["key"], problem["expected"], problem["actual"])
    if slug == "history-pruned":
        return HistoryPruned(problem["asked"], problem["first"])
    if slug == "not-found":
        return _again(NotFound, detail, kind=problem["kind"], name=problem["name"])
    if slug in _OF_EVENTS:
        about = {"field": problem["errors"][0]["field"]}
        about |= {name: problem.get(name, "") for name in ("value", "rule")}
        about |= {name: problem[name] for name in ("size", "limit") if name in problem}
        return _again(_OF_EVENTS[slug], detail, **about)
    if slug == "store-unavailable":
        return _unavailable(str(problem.get("reason")))(detail)
    kind = _OTHERS.get(slug)
    return None if kind is None else kind(detail)


_OF_EVENTS: dict[str, type[InvalidEvent]] = {
    "invalid-event": InvalidEvent,
    "schema-violation": SchemaViolation,
    "event-too-large": TooLarge,
}
_OTHERS: dict[str, type[TidingsError]] = {
    "invalid-query": InvalidQuery,
    "invalid-request": InvalidQuery,
    "private-record": InvalidQuery,
    "too-large": InvalidQuery,
    "invalid-setting": InvalidSetting,
    "outcome-unknown": OutcomeUnknown,
}


def _unavailable(name: str) -> type[StoreUnavailable]:
    """The kind of failure that the server's store met."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, StoreUnavailable):
        return kind
    return StoreUnavailable


def _again(kind: type[_Error], message: str, /, **attributes: object) -> _Error:
    """An error with the message it had: its own arguments would make it anew, and differently."""
    error = kind.__new__(kind, message)
    error.__dict__.update(attributes)
    return error
