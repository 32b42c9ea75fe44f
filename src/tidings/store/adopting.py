"""When a store may take over a summary from elsewhere: the rule every backend shares.

Keeps promise 5 for `Store.adopt`: what contradicts the events that are kept is refused. It reads
and writes nothing.
"""

from __future__ import annotations

from tidings.errors import InvalidEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Summary

__all__ = ["ensure_adoptable", "ensure_may_be_pruned"]


def ensure_may_be_pruned(pruned: int, before: int, left: int) -> None:
    """Refuse to call positions pruned where events are left.

    Args:
        pruned: the last position that shall be pruned; past `before`.
        before: the last position that is.
        left: how many events there are.

    Raises:
        InvalidEvent: events are left.
    """
    if left:
        rule = f"must not lie past {before}, up to where this store is pruned, while it has events"
        raise InvalidEvent("pruned", pruned, rule)


def ensure_adoptable(summary: Summary, kept: Summary | None, pruned: int) -> None:
    """Refuse a summary that does not speak of the newest event kept of its own.

    Args:
        summary: what shall be kept; of a correlation, its kind is empty.
        kept: what is kept under the same kind and id, if there is something.
        pruned: the last position that is pruned.

    Raises:
        InvalidEvent: it contradicts what is kept.
    """
    if summary.first_position > summary.last_position:
        raise _refused(summary, "ends before it begins")
    if kept is not None and kept.last_position > pruned:
        if summary.last_position != kept.last_position:
            raise _refused(summary, f"must speak of the newest event, at {kept.last_position}")
        # A correlation's version counts its events, and restored ones are not all of them.
        if summary.kind and summary.version != kept.version:
            raise _refused(summary, f"must stand at the newest event's version, {kept.version}")
    elif summary.last_position > pruned:
        raise _refused(summary, f"speaks of an event past {pruned}, and none is kept")
    elif not summary.kind:
        raise _refused(summary, "is of a correlation without events, which is not kept")
    elif kept is not None and summary.version < kept.version:
        raise _refused(summary, f"must not fall back behind version {kept.version}")


def _refused(summary: Summary, rule: str) -> InvalidEvent:
    kind = summary.kind or "correlation"
    what = f"{kind}/{summary.id} at version {summary.version}, position {summary.last_position}"
    return InvalidEvent("summary", what, rule)
