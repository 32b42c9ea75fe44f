"""What the engine says of itself: events of our own, about an endpoint that is stopped or skipped.

Each has an id that is made of what it says, so that telling it again after a crash changes nothing.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from tidings.errors import IdConflict
from tidings.event import Event
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.delivery.webhooks.attempts import Listed
    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.store.base import Store

__all__ = ["DISABLED", "SKIPPED", "tell_disabled", "tell_skipped", "tell_skipped_by_many"]

DISABLED = "tidings.webhook.disabled"
"""An endpoint was stopped: it said that it is gone, or it failed for too long."""

SKIPPED = "tidings.webhook.skipped"
"""Events were pruned before they could be sent."""

_log = logging.getLogger("tidings.webhooks")


def tell_disabled(
    store: Store, endpoint: Endpoint, why: str, since: int | None, last: Listed
) -> None:
    """Tell that an endpoint was stopped.

    Args:
        store: where it is told.
        endpoint: which.
        why: `gone` or `failing`.
        since: since when it failed (microseconds since 1970).
        last: its last attempt.
    """
    begun = last.attempt.at if since is None else since
    _tell(
        store,
        DISABLED,
        f"{endpoint.id}:{why}:{begun}",
        endpoint.id,
        {
            "endpoint": endpoint.id,
            "url": _place(endpoint.url),
            "description": endpoint.description,
            "reason": why,
            "failing_since": format_instant(begun),
            "status": last.attempt.status,
            "error": last.attempt.error,
        },
    )
    _log.warning("webhook %s was disabled (%s): %s", endpoint.id, why, last.attempt.error)


def tell_skipped(store: Store, endpoint: Endpoint, first: int) -> None:
    """Tell that an endpoint missed events up to `first`, the first position that is left."""
    said = {"endpoint": endpoint.id, "url": _place(endpoint.url), "first": first}
    _tell(store, SKIPPED, f"{endpoint.id}:{first}", endpoint.id, said)
    _log.warning("webhook %s: events before position %d were pruned unsent", endpoint.id, first)


def tell_skipped_by_many(store: Store, shard: int, endpoints: int, first: int) -> None:
    """The same of all endpoints of a shard that kept up, so many of them."""
    said = {"shard": shard, "endpoints": endpoints, "first": first}
    _tell(store, SKIPPED, f"shard-{shard}:{first}", f"shard-{shard}", said)
    _log.warning("%d webhooks: events before position %d were pruned unsent", endpoints, first)


def _place(url: str) -> str:
    """A URL as all who read events may see it: the rest of it is a secret at some receivers."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _tell(store: Store, type: str, id: str, about: str, payload: dict[str, Any]) -> None:
    event = Event(
        type,
        status="failure",
        payload=payload,
        source="tidings",
        id=f"{type}:{id}",
        aggregate_type="webhook",
        aggregate_id=about,
    )
    try:
        store.append([event])
    except IdConflict:
        _log.info("%s was told already, in other words", event.id)
