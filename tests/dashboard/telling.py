"""Events of workflows, agents and runs, as those emit them, at times that a test chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidings.timestamps import format_instant, now_instant

if TYPE_CHECKING:
    from tidings import Bus, Event

__all__ = ["ago", "tell"]


def ago(seconds: float) -> str:
    """The moment so long before now."""
    return format_instant(now_instant() - round(seconds * 1_000_000))


def tell(bus: Bus, about: str, word: str, seconds: float = 0.0, **fields: Any) -> Event:
    """Keep an event such as `agent.started`, about `agent/reader`, so long ago.

    Args:
        bus: where it is kept.
        about: what it is about, such as `agent/reader`; of a workflow, that is what it belongs to.
        word: what happened: `started`, `completed`, `failed`; the last word of its type.
        seconds: how long ago.
        fields: what else it says; `workflow` is what it belongs to.
    """
    kind, _, name = about.partition("/")
    workflow = fields.pop("workflow", name if kind == "workflow" else None)
    return bus.emit(
        f"{kind}.{word}",
        status={"completed": "success", "failed": "failure"}.get(word, ""),
        timestamp=ago(seconds),
        aggregate_type=kind,
        aggregate_id=name,
        correlation_id=workflow,
        **fields,
    )
