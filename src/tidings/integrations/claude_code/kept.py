"""What an event keeps of the JSON of a hook.

Always kept are names, paths, numbers and switches, and of what a tool was given what it was to work
on (a command, a path, a pattern). Of prompts, answers and outputs only the size is kept, unless
`Discretion` says otherwise; whatever is kept goes through it.
"""

from __future__ import annotations

from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tidings.integrations.claude_code.hook import Hook
    from tidings.integrations.discretion import Discretion

__all__ = ["kept_of"]

_ELSEWHERE = frozenset(("session_id", "hook_event_name", "tool_input", "tool_response", "error"))
"""What an event says in another place, or in another form."""

_LEFT_OUT = frozenset(("transcript_path", "agent_transcript_path", "scratchpad_dir", "effort"))

_NAMES = frozenset(
    (
        *("prompt_id", "cwd", "permission_mode", "source", "model", "agent_id", "agent_type"),
        *("tool_name", "tool_use_id", "reason", "error_details", "notification_type", "trigger"),
        *("task_id", "teammate_name", "team_name", "from_model", "to_model", "old_cwd", "new_cwd"),
        *("file_path", "load_reason", "memory_type", "worktree_path", "name", "mcp_server_name"),
        *("command_name", "command_source", "expansion_type", "event", "directory"),
    )
)
"""Texts that name something, or say what kind of thing it is."""

_PROMPTS = frozenset(
    (
        *("prompt", "custom_instructions", "task_subject", "task_description", "session_title"),
        *("message", "title", "initial_user_message"),
    )
)
"""Texts that are prompts, or tell of them."""

_INPUTS = frozenset(
    (
        *("command", "description", "file_path", "notebook_path", "path", "pattern", "glob"),
        *("output_mode", "url", "query", "subagent_type", "model", "skill", "name", "task_id"),
        *("shell_id", "bash_id", "status", "type", "isolation"),
    )
)
"""Of what a tool is given: what it is to work on."""

_OUTPUTS = frozenset(("status", "agentId", "resolvedModel", "type", "backgroundTaskId", "taskId"))
"""Of what a tool gave: what became of it."""

_MOST_FIELDS = 64


def kept_of(hook: Hook, discretion: Discretion) -> dict[str, Any]:
    """The payload of an event that tells of this hook."""
    data = hook.data
    payload: dict[str, Any] = {"hook": hook.event}
    known = (each for each in data.items() if each[0] not in _ELSEWHERE | _LEFT_OUT)
    payload |= _kept(known, _NAMES, discretion)
    effort = hook.inner("effort").get("level")
    if isinstance(effort, str):
        payload["effort"] = discretion.text(effort)
    if "tool_input" in data:
        payload |= _of_tool("input", data["tool_input"], _INPUTS, discretion)
    if "tool_response" in data:
        payload |= _of_tool("output", data["tool_response"], _OUTPUTS, discretion)
    return payload


def _of_tool(
    name: str, value: object, names: frozenset[str], discretion: Discretion
) -> dict[str, Any]:
    """What is kept of what a tool was given or gave: its size, and what it names."""
    size = {f"{name}_bytes": _size(value)}
    if discretion.keeps("all"):
        return {name: discretion.value(value), **size}
    if not isinstance(value, dict):
        return size
    known = _kept(value.items(), names, discretion)
    return {name: known, **size} if known else size


def _kept(
    items: Iterable[tuple[str, Any]], names: frozenset[str], discretion: Discretion
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in items:
        if not (key.isascii() and key.isidentifier()) or len(found) >= _MOST_FIELDS:
            continue
        if isinstance(value, bool | int | float):
            found |= discretion.value({key: value})
        elif isinstance(value, str):
            if _is_wanted(key, names, discretion):
                found |= discretion.value({key: value})
            else:
                found[f"{key}_characters"] = len(value)
        elif discretion.keeps("all") and value:
            found |= discretion.value({key: value})
        elif isinstance(value, list | dict) and value:
            found[f"{key}_count"] = len(value)
    return found


def _is_wanted(key: str, names: frozenset[str], discretion: Discretion) -> bool:
    return (
        key in names or discretion.keeps("all") or (key in _PROMPTS and discretion.keeps("prompts"))
    )


def _size(value: object) -> int:
    """How large a value is as JSON (bytes); 0 for nothing."""
    if value in (None, "", {}, []):
        return 0
    return len(encode_json(value).encode("utf-8", "surrogatepass"))
