"""What is emitted: the event of a finished batch job, as the first users of this idea have it."""

from __future__ import annotations

from typing import Any

from tidings.event import Event

__all__ = ["PAYLOAD", "PROJECT", "TYPE", "job_fields", "lifecycle_event"]

TYPE = "job_done"
PROJECT = "figrecipe"
PAYLOAD: dict[str, Any] = {"job_id": 4711, "host": "n12", "state": "COMPLETED"}

_AGENTS_AT_WORK = 100
"""So many agents are at work at a time, their events in turn."""

_EVENTS_PER_AGENT = 100
_AGENTS_PER_WORKFLOW = 4
_TYPES = ("agent.started", *(f"tool.step{number}" for number in range(8)), "agent.completed")


def job_fields(number: int) -> dict[str, object]:
    """A finished job as a dict, for `emit_many`."""
    return {
        "type": TYPE,
        "project": PROJECT,
        "payload": {"job_id": number, "host": "n12", "state": "COMPLETED"},
    }


def agent_of(number: int) -> int:
    """Which agent the event at this place in a large log is about."""
    shift = number // (_AGENTS_AT_WORK * _EVENTS_PER_AGENT)
    return shift * _AGENTS_AT_WORK + number % _AGENTS_AT_WORK


def workflow_of(agent: int) -> int:
    """Which workflow an agent belongs to."""
    return agent // _AGENTS_PER_WORKFLOW


def lifecycle_event(number: int) -> Event:
    """One event of an agent in a workflow, for large logs: equal shapes at any size."""
    agent = agent_of(number)
    step = number // _AGENTS_AT_WORK % _EVENTS_PER_AGENT
    return Event(
        _TYPES[step % len(_TYPES)],
        PROJECT,
        payload={"step": step, "tool": "search", "tokens": 1200 + step},
        aggregate_type="agent",
        aggregate_id=f"agent-{agent}",
        correlation_id=f"workflow-{workflow_of(agent)}",
    )
