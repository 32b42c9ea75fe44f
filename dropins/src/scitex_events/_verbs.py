"""The verbs of scitex-events: its signatures, defaults and results, on what Tidings does."""

from __future__ import annotations

from typing import Any

from scitex_events._event import Event
from tidings.integrations import scitex_events as behind

__all__ = ["emit", "get_type_info", "history", "latest", "list_types"]


def emit(
    event_type: str,
    project: str,
    status: str = "success",
    payload: dict[str, Any] | None = None,
    source: str = "local",
) -> Event:
    """Say that something happened.

    It is written to `~/.scitex/events/{type}_latest.json` and appended to `history.jsonl` there
    (`SCITEX_DIR` moves both), and kept in the Tidings store. With `SCITEX_API_KEY` it is POSTed to
    the cloud API, in the background.

    Args:
        event_type: what happened, such as `test_complete`.
        project: what it belongs to.
        status: `success` or `failure`.
        payload: what there is to say about it.
        source: where it comes from: `local`, `hpc` or `ci`.

    Returns:
        The event, as it was kept.

    Raises:
        tidings.InvalidEvent: a field breaks its rule; nothing was kept.
        tidings.NotKept: neither the store, nor its spool, nor the state files could take it.
    """
    kept = behind.emit(event_type, project, status, payload or {}, source)
    return Event(kept.type, kept.project, kept.status, kept.payload, kept.source, kept.timestamp)


def latest(event_type: str | None = None) -> dict[str, Any] | None:
    """The newest event.

    Args:
        event_type: of which type; none for any.

    Returns:
        Its six fields, or none where there is no such event.
    """
    return behind.latest(event_type)


def history(limit: int = 20) -> list[dict[str, Any]]:
    """The newest events.

    Args:
        limit: at most so many.

    Returns:
        Their six fields, newest first.
    """
    return behind.history(limit)


def list_types() -> list[str]:
    """The names of known event types, sorted.

    >>> list_types()
    ['build_result', 'job_done', 'scholar_done', 'stats_done', 'test_complete']
    """
    return behind.list_types()


def get_type_info(event_type: str) -> dict[str, Any]:
    """What is known of an event type: `description` and `payload_keys`; empty where nothing is.

    >>> get_type_info("job_done")["payload_keys"]
    ['job_id', 'host', 'state']
    """
    return behind.get_type_info(event_type)
