"""What the tools of eventuali-mcp-server make of their arguments: the events they emit.

Types, aggregates, links and attributes are those of its code: `agent.<name>.<event>` with the
workflow as correlation and the parent agent as cause, `workflow.<event>` with its own id as
correlation, `system.<event>` about the session, or about `system`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime

from tidings.mcp_server.emitting import Emission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Agent", "Workflow", "of_system"]

_OWN_TIMES = frozenset(("started_at", "completed_at"))

_OF_AGENTS = {
    "type": "agent_name and event_name",
    "payload": "attributes",
    "aggregate_id": "agent_id",
    "correlation_id": "workflow_id",
    "causation_id": "parent_agent_id",
}
_OF_WORKFLOWS = {
    "type": "event_name",
    "payload": "attributes",
    "aggregate_id": "workflow_id",
    "correlation_id": "workflow_id",
}
_OF_SYSTEMS = {"type": "event_name", "payload": "attributes", "aggregate_id": "session_id"}


class _Undertaking(ABC):
    """What starts, goes on and ends."""

    @abstractmethod
    def says(
        self, event_name: str, attributes: dict[str, Any], project: str, event_id: str
    ) -> Emission:
        """An event about it."""

    def starts(self, project: str, event_id: str) -> Emission:
        """The event that it has started."""
        begun = self.says("started", {"started_at": _now()}, project, event_id)
        return begun._replace(own_times=_OWN_TIMES)

    def ends(self, project: str, event_id: str, message: str, *, success: bool) -> Emission:
        """The event that it has ended."""
        said: dict[str, Any] = {"success": success, "completed_at": _now()}
        if message:
            said["message"] = message
        ended = self.says("completed" if success else "failed", said, project, event_id)
        return ended._replace(own_times=_OWN_TIMES)


@dataclass(frozen=True)
class Agent(_Undertaking):
    """An agent, as tools name it; an empty text is what was left out."""

    name: str
    id: str
    workflow_id: str
    parent_id: str

    def says(
        self, event_name: str, attributes: dict[str, Any], project: str, event_id: str
    ) -> Emission:
        """An event about it."""
        links = {
            "aggregate_type": "agent",
            "aggregate_id": self.id,
            "correlation_id": self.workflow_id,
            "causation_id": self.parent_id,
            "id": event_id,
        }
        payload = {"agent_id": self.id, "agent_name": self.name, **attributes}
        event_type = f"agent.{self.name}.{event_name}"
        return Emission(event_type, payload, project, links, names=_OF_AGENTS)


@dataclass(frozen=True)
class Workflow(_Undertaking):
    """A workflow, as tools name it."""

    id: str
    user_prompt: str = ""

    def says(
        self, event_name: str, attributes: dict[str, Any], project: str, event_id: str
    ) -> Emission:
        """An event about it."""
        links = {
            "aggregate_type": "workflow",
            "aggregate_id": self.id,
            "correlation_id": self.id,
            "id": event_id,
        }
        payload = {"workflow_id": self.id, **attributes}
        if self.user_prompt:
            payload["user_prompt"] = self.user_prompt
        return Emission(f"workflow.{event_name}", payload, project, links, names=_OF_WORKFLOWS)


def of_system(
    event_name: str, session_id: str, attributes: dict[str, Any], project: str, event_id: str
) -> Emission:
    """An event about the system, or about a session."""
    payload = {**attributes, "session_id": session_id} if session_id else attributes
    links = {"aggregate_type": "system", "aggregate_id": session_id or "system", "id": event_id}
    return Emission(f"system.{event_name}", payload, project, links, names=_OF_SYSTEMS)


def _now() -> str:
    """The moment as that server writes it."""
    return datetime.now(UTC).isoformat()
