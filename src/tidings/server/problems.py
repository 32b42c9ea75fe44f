"""Every answer that is an error, as `application/problem+json` (RFC 9457).

One place says which error has which status, and no answer shows a path, a trace or another's data.
Keeps promise 5: what was wrong, where, and what to do next. A problem's `type` is stable: programs
may go by it.
"""

from __future__ import annotations

from http import HTTPStatus

from tidings.errors import (
    HistoryPruned,
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    InvalidSetting,
    NotFound,
    OutcomeUnknown,
    RevisionConflict,
    SchemaViolation,
    StoreClosed,
    StoreUnavailable,
    TidingsError,
    TooLarge,
    VersionConflict,
    shorten,
)
from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["PROBLEM_TYPE", "Problem", "problem_of"]

PROBLEM_TYPE = "application/problem+json"
"""The media type of a problem. Source: RFC 9457, section 3."""

_RETRY_AFTER = 1
"""How soon a client may come back when the store is away (seconds)."""


class Problem(TidingsError):  # noqa: N818 - the name RFC 9457 gives it
    """An error that has an answer in HTTP.

    Args:
        status: the status code.
        slug: its kind, stable: the end of the `type` URN, such as `version-conflict`.
        detail: what was wrong, where, and what to do next.
        headers: headers of the answer, such as `retry-after`.
        members: what a program wants to know, beside the standard members.

    >>> problem = Problem(404, "no-event", "there is no event with the id 'x'", id="x")
    >>> problem.members["id"], problem.status
    ('x', 404)
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = tuple(headers)
        self.members = members

    def to_dict(self) -> dict[str, Any]:
        """The problem as a JSON object."""
        return {
            "type": f"urn:tidings:problem:{self.slug}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }

    def body(self, request_id: str = "") -> bytes:
        """The answer's body; with the request's id it can be found in the server's log."""
        named = {"request_id": request_id} if request_id else {}
        return encode_json({**self.to_dict(), **named}).encode()


def problem_of(error: Exception) -> Problem:
    """The problem that tells a client of an error; 500 for one that is our own fault."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, TooLarge):
        return Problem(
            413,
            "event-too-large",
            str(error),
            errors=[{"field": error.field, "message": str(error)}],
            size=error.size,
            limit=error.limit,
        )
    if isinstance(error, InvalidEvent):
        slug = "schema-violation" if isinstance(error, SchemaViolation) else "invalid-event"
        errors = [{"field": error.field, "message": str(error)}]
        return Problem(422, slug, str(error), errors=errors)
    if isinstance(error, (InvalidQuery, InvalidSetting)):
        slug = "invalid-query" if isinstance(error, InvalidQuery) else "invalid-setting"
        return Problem(422, slug, str(error))
    return _conflict(error) or _absence(error) or _bug()


def _conflict(error: Exception) -> Problem | None:
    detail = str(error)
    if isinstance(error, VersionConflict):
        return Problem(
            409,
            "version-conflict",
            detail,
            aggregate=error.aggregate,
            expected=error.expected,
            actual=error.actual,
        )
    if isinstance(error, IdConflict):
        return Problem(
            409,
            "id-conflict",
            detail,
            event_id=error.event_id,
            position=error.position,
            differs=list(error.differs),
        )
    if isinstance(error, RevisionConflict):
        return Problem(
            409,
            "revision-conflict",
            detail,
            key=error.key,
            expected=error.expected,
            actual=error.actual,
        )
    return None


def _absence(error: Exception) -> Problem | None:
    if isinstance(error, HistoryPruned):
        return Problem(410, "history-pruned", str(error), asked=error.asked, first=error.first)
    if isinstance(error, NotFound):
        return Problem(404, "not-found", str(error), kind=error.kind, name=error.name)
    again = (("retry-after", str(_RETRY_AFTER)),)
    if isinstance(error, OutcomeUnknown):
        detail = "whether it was kept is not known; send the same events (same ids) again"
        return Problem(503, "outcome-unknown", detail, headers=again)
    if isinstance(error, (StoreUnavailable, StoreClosed)):
        # Not the error's own text: it names files of this machine, and is in the log.
        detail = "the store cannot serve now and nothing was kept; come back a little later"
        return Problem(503, "store-unavailable", detail, headers=again, reason=type(error).__name__)
    return None


def _bug() -> Problem:
    return Problem(500, "internal-error", "something went wrong here; the server's log says what")


def unprocessable(field: str, value: object, rule: str) -> Problem:
    """A request whose field breaks a rule."""
    detail = f"{field} {shorten(value)} {rule}"
    return Problem(422, "invalid-request", detail, errors=[{"field": field, "message": detail}])
