"""The entries of our hooks in Claude Code's `settings.json`.

Each runs `tidings ingest claude-code` in the background, or sends the hook's JSON to a server. Two
hooks cannot be asynchronous: that of a session's end, because Claude Code ends what still runs in
the background when it ends itself; and those of `type: http`, which it waits for. Source:
https://code.claude.com/docs/en/hooks, "Run hooks in the background".
"""

from __future__ import annotations

import os
import shlex
import sys

from tidings.errors import InvalidSetting, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tidings.integrations.claude_code.settings_file import Text

__all__ = [
    "EVENTS",
    "checked_event",
    "command_entry",
    "http_entry",
    "install",
    "ours_in",
    "own_command",
    "uninstall",
]

EVENTS = (
    *("SessionStart", "SessionEnd", "UserPromptSubmit", "Stop", "StopFailure"),
    *("PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionDenied"),
    *("SubagentStart", "SubagentStop", "TaskCreated", "TaskCompleted"),
    *("PreCompact", "PostCompact", "Notification"),
)
"""The hooks that are installed unless others are asked for."""

_REPLACING = ("WorktreeCreate", "WorktreeRemove")
"""Hooks that Claude Code has do the work instead of itself."""

_MARK = "ingest claude-code"
_SILENT = " || true"
_PATH = "/ingest/claude-code"
_SECONDS = 5
"""The longest a hook may take that Claude Code waits for (seconds)."""


def checked_event(name: str) -> str:
    """The name of a hook, if ours can be one.

    Raises:
        InvalidSetting: it cannot.
    """
    if name in _REPLACING:
        raise InvalidSetting(
            f"{name} cannot be watched: a hook of this name makes or removes the worktree instead "
            f"of Claude Code"
        )
    if not (name.isascii() and name.isalnum() and name[:1].isupper()):
        raise InvalidSetting(f"{shorten(name)} must be the name of a hook, such as PreToolUse")
    return name


def own_command() -> str:
    """How this very program is run, wherever a hook runs and whatever its PATH is."""
    program = os.path.abspath(sys.argv[0])
    if os.path.basename(program) == "__main__.py" or not os.access(program, os.X_OK):
        return f"{shlex.quote(sys.executable)} -m tidings"
    return shlex.quote(program)


def command_entry(command: str, options: Iterable[str], event: str) -> dict[str, Any]:
    """The entry of a hook that runs a command.

    Args:
        command: how Tidings is run, as a shell reads it.
        options: of `tidings ingest claude-code`.
        event: which hook it is.

    >>> command_entry("tidings", ["--content", "all"], "Stop")["hooks"][0]["command"]
    'tidings ingest claude-code --content all || true'
    """
    words = " ".join([command, _MARK, *map(shlex.quote, options)])
    # Where Tidings is gone, or is one that does not know the command, nobody need hear of it.
    handler: dict[str, Any] = {"type": "command", "command": f"{words}{_SILENT}"}
    handler |= {"timeout": _SECONDS} if event == "SessionEnd" else {"async": True}
    return {"hooks": [handler]}


def http_entry(url: str, query: str, *, with_key: bool) -> dict[str, Any]:
    """The entry of a hook that sends what it is told to a server.

    Args:
        url: the server's.
        query: what stands after the question mark.
        with_key: whether it shows the key that `TIDINGS_KEY` holds when it runs.
    """
    address = f"{url.rstrip('/')}{_PATH}{f'?{query}' if query else ''}"
    handler: dict[str, Any] = {"type": "http", "url": address, "timeout": _SECONDS}
    if with_key:
        handler["headers"] = {"Authorization": "Bearer $TIDINGS_KEY"}
        handler["allowedEnvVars"] = ["TIDINGS_KEY"]
    return {"hooks": [handler]}


def ours_in(value: dict[str, Any]) -> dict[str, list[str]]:
    """What our hooks run, or where they send to, by the hooks' names."""
    found = {}
    for event, groups in _hooks(value).items():
        handlers = [
            each for group in _listed(groups) for each in _handlers(group) if _is_ours(each)
        ]
        if handlers:
            found[event] = [str(each.get("command") or each.get("url")) for each in handlers]
    return found


def install(settings: Text, wanted: Callable[[str], dict[str, Any]], events: Iterable[str]) -> None:
    """Let our hooks be those of these events, and no others.

    Args:
        settings: the file's text.
        wanted: the entry of an event.
        events: their names.

    Raises:
        InvalidSetting: something stands where the entries should.
    """
    names = list(events)
    for event in _hooks(settings.value()):
        if event not in names:
            _take_out(settings, event)
    for event in names:
        _keep_to(settings, event, wanted(event))


def uninstall(settings: Text) -> None:
    """Take all our hooks out."""
    for event in _hooks(settings.value()):
        _take_out(settings, event)


def _keep_to(settings: Text, event: str, entry: dict[str, Any]) -> None:
    """Let an entry stand once, where one of ours stood before if there was any."""
    groups = _listed(_hooks(settings.value()).get(event))
    ours = [index for index, group in enumerate(groups) if _is_all_ours(group)]
    if len(ours) == 1 and groups[ours[0]] == entry and not any(map(_is_mixed, groups)):
        return
    if len(ours) == 1 and not any(map(_is_mixed, groups)):
        settings.replace(("hooks", event), ours[0], entry)
        return
    _take_out(settings, event)
    settings.put(("hooks", event), entry)


def _take_out(settings: Text, event: str) -> None:
    place = ("hooks", event)
    for index, group in enumerate(_listed(_hooks(settings.value()).get(event))):
        if _is_mixed(group):
            left = [each for each in group["hooks"] if not _is_ours(each)]
            settings.replace(place, index, {**group, "hooks": left})
    settings.cut(place, _is_all_ours)


def _hooks(value: dict[str, Any]) -> dict[str, Any]:
    found = value.get("hooks")
    return found if isinstance(found, dict) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _handlers(group: object) -> list[Any]:
    return _listed(group.get("hooks")) if isinstance(group, dict) else []


def _is_all_ours(group: object) -> bool:
    handlers = _handlers(group)
    return bool(handlers) and all(map(_is_ours, handlers))


def _is_mixed(group: object) -> bool:
    return any(map(_is_ours, _handlers(group))) and not _is_all_ours(group)


def _is_ours(handler: object) -> bool:
    if not isinstance(handler, dict):
        return False
    command, url = handler.get("command"), handler.get("url")
    if isinstance(command, str):
        plain = command.replace("'", "").replace('"', "")
        return f"tidings {_MARK}" in plain or (f" {_MARK}" in plain and plain.endswith(_SILENT))
    return isinstance(url, str) and url.partition("?")[0].endswith(_PATH)
