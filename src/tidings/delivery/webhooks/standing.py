"""How an endpoint stands: how far it was sent events, and what waits for it.

The engine writes it apart from the endpoint's configuration, so that people who change that and the
engine never wait for each other. An endpoint that keeps up with its shard has nothing of its own to
write: thousands of them cost one record.
"""

from __future__ import annotations

from tidings.subscriptions.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Standing"]


class Standing:
    """How an endpoint stands.

    Attributes:
        progress: how far it was sent events, and what waits to be sent again. Its position is its
            shard's where it does not lag.
        lagging: whether the position here counts, not the shard's.
        failing_since: when the first attempt since the last success failed (microseconds since
            1970); none while it takes what it is sent.
        again_through: events up to here are sent once more, because somebody asked for it.

    >>> standing = Standing(Progress(7), lagging=True)
    >>> Standing.of(standing.to_value()).progress.position
    7
    """

    __slots__ = ("again_through", "failing_since", "lagging", "progress")

    def __init__(
        self,
        progress: Progress,
        *,
        lagging: bool,
        failing_since: int | None = None,
        again_through: int = 0,
    ) -> None:
        self.progress = progress
        self.lagging = lagging
        self.failing_since = failing_since
        self.again_through = again_through

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `Standing.of` reads it."""
        return {
            **self.progress.to_value(),
            "lagging": self.lagging,
            "failing_since": self.failing_since,
            "again_through": self.again_through,
        }

    @classmethod
    def of(cls, value: dict[str, Any]) -> Standing:
        """What `to_value` wrote."""
        return cls(
            Progress.of(value),
            lagging=value["lagging"],
            failing_since=value["failing_since"],
            again_through=value["again_through"],
        )
