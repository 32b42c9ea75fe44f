"""Which call of a tool a sub-agent was started by.

A hook about the start of a sub-agent does not say who started it. Before it, though, the call of
the tool was told, and sometimes also its answer, which names the agent. Keeps: *what was told is
not inferred*; what is inferred is the oldest call of the session that is open, asked for an agent
of this type, and is not another agent's already. It reads no more than the newest events.
"""

from __future__ import annotations

from tidings.integrations.claude_code.mapping import SPAWNING
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.event import Event
    from tidings.integrations.claude_code.hook import Hook

__all__ = ["asks_for_parent", "parent_in", "query_for_parent"]

_TYPES = ("tool.started", "tool.completed", "tool.failed", "agent.started", "agent.spawned")
_MOST = 500
"""So many events of a session are looked at, the newest first."""

_USUAL_TYPE = "general-purpose"
"""The agent that a call asks for which names none."""


def asks_for_parent(hook: Hook) -> bool:
    """Whether a hook tells of a sub-agent without saying what started it."""
    return hook.event == "SubagentStart" and hook.name("agent_id") is not None


def query_for_parent(hook: Hook) -> Query:
    """What has to be read to find it."""
    return Query(correlation_id=hook.session, types=_TYPES, backwards=True, limit=_MOST)


def parent_in(events: Iterable[Event], hook: Hook) -> tuple[str, bool] | None:
    """What started the sub-agent of a hook, and whether that is inferred; none where unknown.

    Args:
        events: those of the query, the newest first.
        hook: what the hook was told.
    """
    agent = hook.name("agent_id")
    kind = hook.name("agent_type") or _USUAL_TYPE
    said: tuple[str, bool] | None = None
    over: set[str | None] = set()
    calls: list[str] = []
    for event in events:
        if event.type == "tool.started":
            if _asked_for(event) == kind:
                calls.append(event.id)
        elif event.aggregate_id != agent or event.aggregate_type != "agent":
            over.add(event.causation_id)
        elif event.type == "agent.started" and event.causation_id:
            return event.causation_id, "inferred" in event.payload  # told before, or resumed
        elif event.causation_id:
            said = event.causation_id, False
    still_open = [call for call in calls if call not in over]
    return said or ((still_open[-1], True) if still_open else None)


def _asked_for(event: Event) -> str | None:
    """The type of agent that a call asks for; none where it asks for none."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    if payload.get("tool_name") not in SPAWNING:
        return None
    given = payload.get("input")
    wanted = given.get("subagent_type") if isinstance(given, dict) else None
    return wanted if isinstance(wanted, str) and wanted else _USUAL_TYPE
