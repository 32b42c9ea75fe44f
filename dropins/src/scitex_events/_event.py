"""The event of scitex-events: a mutable dataclass of six fields. It checks nothing; `emit` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tidings.timestamps import format_instant, now_instant

__all__ = ["Event"]


@dataclass
class Event:
    """Something that happened, in six fields.

    Args:
        type: what happened, such as `test_complete`, `job_done` or `build_result`.
        project: what it belongs to.
        status: its outcome: `success` or `failure`.
        payload: what there is to say about it.
        source: where it comes from: `local`, `hpc` or `ci`.
        timestamp: when it happened, ISO 8601; left out, it is now, in UTC.

    >>> event = Event("job_done", "figrecipe", timestamp="2026-01-01T12:00:00Z")
    >>> event.status = "failure"
    >>> Event.from_dict(event.to_dict()) == event
    True
    """

    type: str
    project: str
    status: str = "success"
    payload: dict[str, Any] = field(default_factory=dict)
    source: str = "local"
    timestamp: str = ""

    def __post_init__(self) -> None:
        """Say when it happened, if nobody did."""
        if not self.timestamp:
            self.timestamp = format_instant(now_instant())

    def to_dict(self) -> dict[str, Any]:
        """The six fields, as a dict of its own.

        >>> list(Event("job_done", "figrecipe").to_dict())
        ['type', 'project', 'status', 'payload', 'source', 'timestamp']
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Event:
        """The event that `to_dict` gave, or that a state file holds.

        Args:
            data: the fields; `type` is needed. A missing project is empty, a missing status is
                `unknown`; others that it may have are left out.

        Raises:
            KeyError: it has no type.

        >>> Event.from_dict({"type": "job_done", "timestamp": "2026-01-01T12:00:00Z"}).status
        'unknown'
        """
        return cls(
            type=data["type"],
            project=data.get("project", ""),
            status=data.get("status", "unknown"),
            payload=data.get("payload", {}),
            source=data.get("source", "local"),
            timestamp=data.get("timestamp", ""),
        )
