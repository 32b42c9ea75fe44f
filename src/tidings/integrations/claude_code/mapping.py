"""The events that a hook becomes.

    SessionStart, SessionEnd       workflow.started (.continued), .completed,
                                   about workflow/<session>
    UserPromptSubmit               workflow.prompted; agent.started, about agent/main-<session>
    Stop, StopFailure              agent.completed, agent.failed
    SubagentStart, SubagentStop    agent.started, agent.completed, about agent/<agent_id>
    PreToolUse, PostToolUse[Failure], PermissionDenied
                                   tool.started, .completed, .failed, about tool/<tool_use_id>;
                                   of an Agent call also agent.spawned, about the agent it started
    TaskCreated, TaskCompleted     task.created, task.completed, about task/<session>:<task_id>
    PreCompact, PostCompact        workflow.compacting, .compacted
    Notification                   workflow.notified
    any other                      claude_code.<its_name>, about the session

Keeps: *a hook that is told twice is kept once*, as ids follow from what it says, wherever it says
enough to tell it from the next of its kind. What caused an event is named by id: a prompt, the turn
that it began, the call of a tool, a sub-agent. Where a hook does not say that, it is inferred, and
the payload's `inferred` says so. It keeps nothing itself.
"""

from __future__ import annotations

from tidings.ids import new_id
from tidings.integrations.claude_code.hook import NAMESPACE
from tidings.integrations.claude_code.kept import kept_of
from tidings.outcome import infer_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from tidings.integrations.claude_code.hook import Hook
    from tidings.integrations.discretion import Discretion

    Fields: TypeAlias = dict[str, Any]
    Cause: TypeAlias = tuple[str | None, bool]

__all__ = ["SPAWNING", "attempts_at", "events_of"]

SPAWNING = ("Agent", "Task")
"""The tools that start a sub-agent: the name, and what it was before 2026."""

_NO_CAUSE = (None, False)


def events_of(
    hook: Hook,
    discretion: Discretion,
    project: str | None = None,
    parent: Cause | None = None,
    *,
    again: bool = False,
    apart: bool = False,
) -> list[Fields]:
    """The events that a hook becomes, each as the fields of an `Event`.

    Args:
        hook: what the hook was told.
        discretion: what is kept of texts.
        project: what the events belong to; none for the name of the directory it ran in.
        parent: what started the sub-agent that the hook is about, and whether that is inferred; see
            `lineage`. Left out, it is inferred that the main agent did.
        again: whether other things were said under these ids before; the ids are then made of all
            that the hook says.
        apart: whether the events are about nothing, though they are of the session.

    >>> from tidings.integrations.claude_code.hook import Hook
    >>> from tidings.integrations.discretion import Discretion
    >>> told = {"hook_event_name": "UserPromptSubmit", "session_id": "s-1", "prompt": "Hello"}
    >>> asked, turn = events_of(Hook({**told, "cwd": "/home/ann/figrecipe"}), Discretion())
    >>> asked["type"], asked["aggregate_id"], asked["project"]
    ('workflow.prompted', 's-1', 'figrecipe')
    >>> asked["payload"]["prompt_characters"]
    5
    >>> turn["type"], turn["aggregate_id"], turn["causation_id"] == asked["id"]
    ('agent.started', 'main-s-1', True)
    """
    making = _Making(hook, discretion, project, parent, again=again)
    events = _MAKERS.get(hook.event, _other)(making)
    return (
        [{**event, "aggregate_type": None, "aggregate_id": None} for event in events]
        if apart
        else events
    )


def attempts_at(hook: Hook) -> list[tuple[bool, bool, int | None]]:
    """How to keep what a hook says, one way after the other while what was kept before hinders.

    Each is the arguments `again` and `apart` of `events_of`, and the version that what the hook is
    about must stand at. Hooks that run in the background may overtake each other: the start of a
    call that comes after its end is kept apart, so that what is over does not look as if it ran.
    """
    if hook.event == "PreToolUse" and hook.name("tool_use_id"):
        return [(False, False, 0), (False, True, None), (True, True, None)]
    return [(False, False, None), (True, False, None)]


class _Making:
    """What the events of one hook have in common."""

    def __init__(
        self,
        hook: Hook,
        discretion: Discretion,
        project: str | None,
        parent: Cause | None,
        *,
        again: bool,
    ) -> None:
        self.hook = hook
        self.discretion = discretion
        self.payload = kept_of(hook, discretion)
        self.agent = hook.name("agent_id")
        self.call = hook.name("tool_use_id")
        self.prompt = hook.name("prompt_id")
        self.parent = parent
        self.session = ("workflow", hook.session)
        self.main = ("agent", f"main-{hook.session}")
        self._project = _project(hook) if project is None else project
        self._again = again

    @property
    def turn(self) -> Cause:
        """What the main agent does is caused by the prompt it answers."""
        if self.prompt is None:
            return self.main[1], True
        return self.hook.id_of("turn", self.prompt), False

    @property
    def actor(self) -> Cause:
        """Who did what the hook tells of."""
        return self.turn if self.agent is None else (self.agent, False)

    def event(
        self,
        event_type: str,
        about: tuple[str, str] | None,
        cause: Cause = _NO_CAUSE,
        *,
        key: tuple[str, ...] = (),
        payload: Fields | None = None,
        **more: Any,
    ) -> Fields:
        """One event.

        Args:
            event_type: its type.
            about: the aggregate it is about, if any.
            cause: what caused it, and whether that is inferred.
            key: what its id is made of; empty where it is made of all that the hook says.
            payload: instead of what is kept of the hook.
            more: what the payload says beside.
        """
        said = {**(self.payload if payload is None else payload), **more}
        if cause[1]:
            said["inferred"] = ["causation_id"]
        return {
            "type": event_type,
            "project": self._project,
            "status": infer_status(event_type, said),
            "payload": said,
            "source": NAMESPACE,
            "id": self._id(event_type, key),
            "aggregate_type": about and about[0],
            "aggregate_id": about and about[1],
            "correlation_id": self.hook.session,
            "causation_id": cause[0],
        }

    def _id(self, event_type: str, key: tuple[str, ...]) -> str:
        if key and not self._again:
            return self.hook.id_of(*key)
        if self.prompt is None and self.call is None and self.agent is None:
            return new_id()  # nothing tells this time from the next
        return self.hook.id_of(event_type, self.hook.digest())


# Sessions and prompts -----------------------------------------------------------------------------


def _session_started(making: _Making) -> list[Fields]:
    data = making.hook.data
    if data.get("source") == "compact":
        return [making.event("workflow.continued", making.session)]
    # A session begins once, but may be resumed many times.
    key = ("session", "started") if data.get("source") == "startup" else ()
    path = data.get("transcript_path")
    more: Fields = (
        {"transcript_path": making.discretion.text(path)} if isinstance(path, str) else {}
    )
    return [making.event("workflow.started", making.session, key=key, **more)]


def _session_ended(making: _Making) -> list[Fields]:
    return [making.event("workflow.completed", making.session)]


def _prompted(making: _Making) -> list[Fields]:
    prompt = making.prompt
    asked = making.event("workflow.prompted", making.session, key=_key("prompt", prompt))
    turn = making.event(
        "agent.started",
        making.main,
        (asked["id"], False),
        key=_key("turn", prompt),
        payload={"hook": making.hook.event, **({"prompt_id": prompt} if prompt else {})},
        agent_name=making.hook.name("agent_type") or "main",
    )
    return [asked, turn]


def _of_session(event_type: str) -> Callable[[_Making], list[Fields]]:
    """Says something of the session, each time anew."""

    def make(making: _Making) -> list[Fields]:
        return [{**making.event(event_type, making.session), "id": new_id()}]

    return make


# Agents -------------------------------------------------------------------------------------------


def _stopped(making: _Making, event_type: str = "agent.completed", **more: Any) -> list[Fields]:
    agent = making.agent
    if agent is None:
        return [making.event(event_type, making.main, making.turn, **more)]
    cause = (making.hook.id_of("agent", agent), False)
    return [making.event(event_type, ("agent", agent), cause, **more)]


def _stop_failed(making: _Making) -> list[Fields]:
    error = making.hook.data.get("error")
    more = {"error": making.discretion.text(error)} if isinstance(error, str) else {}
    return _stopped(making, "agent.failed", **more)


def _agent_started(making: _Making) -> list[Fields]:
    if making.agent is None:
        return _other(making)
    cause = making.parent or (making.turn[0], True)
    name = making.hook.name("agent_type")
    more: Fields = {"agent_name": name} if name else {}
    key = ("agent", making.agent)
    return [making.event("agent.started", ("agent", making.agent), cause, key=key, **more)]


def _agent_stopped(making: _Making) -> list[Fields]:
    # Those without a type are of Claude Code itself (suggestions, side questions): nobody started
    # them, and they would stand in the tree as agents that came from nowhere.
    if making.agent is None or making.hook.name("agent_type") is None:
        return _other(making)
    return _stopped(making)


# Tools --------------------------------------------------------------------------------------------


def _tool_started(making: _Making) -> list[Fields]:
    key = _key("tool", making.call, "started")
    return [making.event("tool.started", _tool(making), making.actor, key=key)]


def _tool_completed(making: _Making) -> list[Fields]:
    more = {"exit_code": 0} if making.hook.data.get("tool_name") in ("Bash", "PowerShell") else {}
    return [_tool_ended(making, "tool.completed", more), *_spawned(making)]


def _tool_failed(making: _Making) -> list[Fields]:
    more: Fields = {}
    error = making.hook.data.get("error")
    if isinstance(error, str):
        # Source: for shells the first line is `Exit code N`, and what follows is output.
        first, _, code = error.partition("\n")[0].rpartition(" ")
        if first == "Exit code" and code.isdecimal() and len(code) < 10:
            more["exit_code"] = int(code)
        if making.discretion.keeps("all"):
            more["error"] = making.discretion.text(error)
        else:
            more["error_characters"] = len(error)
    return [_tool_ended(making, "tool.failed", more)]


def _tool_denied(making: _Making) -> list[Fields]:
    return [_tool_ended(making, "tool.failed", {"denied": True})]


def _tool_ended(making: _Making, event_type: str, more: Fields) -> Fields:
    cause = making.actor if making.call is None else (_start_of(making), False)
    key = _key("tool", making.call, "ended")
    return making.event(event_type, _tool(making), cause, key=key, **more)


def _spawned(making: _Making) -> list[Fields]:
    """What the call of an agent says of the agent that it started; nobody else says who did."""
    response = making.hook.inner("tool_response")
    agent = _name_in(response, "agentId")
    if making.hook.data.get("tool_name") not in SPAWNING or agent is None:
        return []
    payload: Fields = {"hook": making.hook.event, "agent_id": agent}
    name = _name_in(making.hook.inner("tool_input"), "subagent_type")
    payload |= {"agent_name": name} if name else {}
    payload |= {"tool_use_id": making.call} if making.call else {}
    payload |= {"background": True} if response.get("status") == "async_launched" else {}
    for ours, theirs in _OF_RUN.items():
        value = response.get(theirs)
        if isinstance(value, int | float):
            payload[ours] = value
    cause = making.actor if making.call is None else (_start_of(making), False)
    key = ("agent", agent, "spawned")
    return [making.event("agent.spawned", ("agent", agent), cause, key=key, payload=payload)]


_OF_RUN = {
    "duration_ms": "totalDurationMs",
    "tokens": "totalTokens",
    "tool_calls": "totalToolUseCount",
}


def _tool(making: _Making) -> tuple[str, str] | None:
    return ("tool", making.call) if making.call else None


def _start_of(making: _Making) -> str:
    return making.hook.id_of("tool", making.call or "", "started")


# Tasks, and the rest ------------------------------------------------------------------------------


def _of_task(event_type: str) -> Callable[[_Making], list[Fields]]:
    def make(making: _Making) -> list[Fields]:
        task = making.hook.name("task_id")
        about = ("task", f"{making.hook.session}:{task}") if task else making.session
        return [making.event(event_type, about, making.actor)]

    return make


def _other(making: _Making) -> list[Fields]:
    cause = _NO_CAUSE if making.agent is None and making.prompt is None else making.actor
    event_type = f"claude_code.{_snake(making.hook.event)}"
    event = making.event(event_type, making.session, cause)
    if making.agent is None and making.call is None:
        event["id"] = new_id()  # within one prompt it may be told twice in the same words
    return [event]


_MAKERS: dict[str, Callable[[_Making], list[Fields]]] = {
    "SessionStart": _session_started,
    "SessionEnd": _session_ended,
    "UserPromptSubmit": _prompted,
    "Stop": _stopped,
    "StopFailure": _stop_failed,
    "SubagentStart": _agent_started,
    "SubagentStop": _agent_stopped,
    "PreToolUse": _tool_started,
    "PostToolUse": _tool_completed,
    "PostToolUseFailure": _tool_failed,
    "PermissionDenied": _tool_denied,
    "TaskCreated": _of_task("task.created"),
    "TaskCompleted": _of_task("task.completed"),
    "PreCompact": _of_session("workflow.compacting"),
    "PostCompact": _of_session("workflow.compacted"),
    "Notification": _of_session("workflow.notified"),
}


def _key(*words: str | None) -> tuple[str, ...]:
    """What an id is made of; empty where one of the words is not known."""
    return () if None in words else words  # type: ignore[return-value]  # as just asked


def _name_in(data: Fields, field: str) -> str | None:
    value = data.get(field)
    return (
        value if isinstance(value, str) and 0 < len(value) < 256 and value.isprintable() else None
    )


def _project(hook: Hook) -> str:
    """The name of the directory that the hook ran in; empty where it does not say."""
    directory = hook.data.get("cwd")
    if not isinstance(directory, str):
        return ""
    name = directory.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return name if len(name) < 256 and name.isprintable() else ""


def _snake(name: str) -> str:
    """A hook's name as the last word of a type.

    >>> _snake("PostToolBatch")
    'post_tool_batch'
    """
    letters = [f"_{each.lower()}" if each.isupper() else each for each in name]
    return "".join(letters).lstrip("_")
