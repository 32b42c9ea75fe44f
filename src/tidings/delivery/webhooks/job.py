"""A job: one event that is to be sent to one endpoint, and where it comes from."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.event import Event

__all__ = ["Job"]


class Job(NamedTuple):
    """Something to send.

    Attributes:
        lane: the lane it belongs to; nothing else of it is sent meanwhile.
        position: of the event.
        event: none where it must be read again.
        trigger: why it is sent: `delivery`, `retry` or `replay`.
        waiting: whether it comes from a lane, not from the main reading.
        turn: which reading it belongs to; grows when the endpoint is sent to another position.
    """

    lane: str
    position: int
    event: Event | None
    trigger: str
    waiting: bool
    turn: int
