"""Requests that may be sent again: events get ids that follow from the request's own key.

Keeps: *a request that is sent again under the same `Idempotency-Key` repeats nothing*, for as long
as the store keeps its events, also across restarts and servers, because nothing is remembered but
the events. Another body under the same key is refused. Source: the header and the status 422 are
those of draft-ietf-httpapi-idempotency-key-header, which stores answers where we derive ids.
"""

from __future__ import annotations

import re
from hashlib import sha256

from tidings.errors import IdConflict
from tidings.ids import derived
from tidings.server.problems import Problem, unprocessable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.calls import Call

__all__ = ["HEADER", "Idempotency"]

HEADER = "idempotency-key"

_KEY = re.compile(r"[!-~]{1,255}")


class Idempotency:
    """The ids of one request's events.

    Args:
        caller: the id of the caller's key, so that callers cannot meet each other's events.
        key: what they sent as `Idempotency-Key`.
        body: the request's body; none where it is not read whole.

    Attributes:
        digest: SHA-256 of the body, kept among the events' extensions; none without a body.

    >>> first, again = Idempotency("", "order-17", b"{}"), Idempotency("", "order-17", b"{}")
    >>> first.event_id(0) == again.event_id(0), first.event_id(1) == first.event_id(0)
    (True, False)
    """

    def __init__(self, caller: str, key: str, body: bytes | None) -> None:
        self._seed = (caller, key)
        self.digest = None if body is None else sha256(body).hexdigest()

    @classmethod
    def of(cls, call: Call, body: bytes | None) -> Idempotency | None:
        """What a request asks for; none where it has no such header.

        Raises:
            Problem: the header is not usable (422).
        """
        key = call.header(HEADER)
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            rule = "must be 1 to 255 visible ASCII characters, such as a UUID"
            raise unprocessable("Idempotency-Key", key, rule)
        return cls(call.caller.key_id, key, body)

    def event_id(self, index: int) -> str:
        """The id of the event at this place in the request: a UUIDv8."""
        return derived(*self._seed, "event", str(index))

    def aggregate_id(self) -> str:
        """The id of the aggregate that the request makes, where it names none."""
        return derived(*self._seed, "aggregate")

    def refusal(self, error: Exception, index: int) -> Exception:
        """What to say of an error about the event at this place in the request."""
        if isinstance(error, IdConflict) and error.event_id == self.event_id(index):
            return Problem(
                422,
                "idempotency-key-reused",
                "this Idempotency-Key was used for a request with another body; send the same "
                "body again, or a new request under a new key",
                position=error.position,
            )
        return error
