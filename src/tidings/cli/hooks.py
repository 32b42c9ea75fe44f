"""`tidings hooks`: put hooks into the settings of an AI agent, so that what it does becomes events.

It changes one file, and of that nothing but its own entries; what they do stands in
`integrations.claude_code.entries`.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlencode

from tidings import settings
from tidings.cli.actions import ensure_options_fit
from tidings.cli.command import Command, Option, WrongUsage, nearest
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.ingest import LOG
from tidings.cli.ingest import OPTIONS as INGEST
from tidings.cli.show import Display, printable
from tidings.integrations.claude_code.entries import (
    EVENTS,
    checked_event,
    command_entry,
    http_entry,
    install,
    ours_in,
    own_command,
    uninstall,
)
from tidings.integrations.claude_code.settings_file import Text, changed, read_text
from tidings.integrations.discretion import Discretion
from tidings.masking import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tidings.cli.command import Given

__all__ = ["COMMANDS"]

_OWNER_ONLY, _SHARED = 0o600, 0o644
_LAST_FAILURES = 5
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"]+")


def _hooks(given: Given) -> int:
    agent, action = given.words
    if agent != "claude-code":
        raise WrongUsage(f"there is no {agent}, only claude-code{nearest(agent, ['claude-code'])}")
    if action not in _ACTIONS:
        known = ", ".join(_ACTIONS)
        raise WrongUsage(f"there is no {action}, only {known}{nearest(action, _ACTIONS)}")
    if given["project_settings"] and given["local"]:
        raise WrongUsage("--project-settings and --local name different files; give one of them")
    if action != "install":
        ensure_options_fit(given, action, _OPTIONS, _PLACES)
    return _ACTIONS[action](given)


def _install(given: Given) -> int:
    path, shared = _path(given)
    entry = _entry_of(given, shared=shared)
    events = [checked_event(name) for name in given["event"]] or list(EVENTS)
    mode = _SHARED if shared else _OWNER_ONLY
    new = changed(path, lambda text: install(text, entry, events), mode)
    said = f"{len(events)} hooks are in {path}" if new else f"{path} has these hooks already"
    Display(given).record({"path": path, "changed": new, "hooks": events}, printable(said))
    return DONE


def _uninstall(given: Given) -> int:
    path, _ = _path(given)
    new = read_text(path) is not None and changed(path, uninstall, _OWNER_ONLY)
    said = f"the hooks are out of {path}" if new else f"{path} has no hooks of Tidings"
    Display(given).record({"path": path, "changed": new}, printable(said))
    return DONE


def _show(given: Given) -> int:
    path, _ = _path(given)
    text = read_text(path)
    ours = {} if text is None else ours_in(Text(text, path).value())
    found = {event: list(map(_without_secrets, targets)) for event, targets in ours.items()}
    display = Display(given)
    failures = _failures()
    if not display.words:
        display.json({"path": path, "hooks": found, "failures": failures})
        return DONE if found else NO
    display.line(printable(f"{path}: {len(found)} hooks of Tidings"))
    for event, targets in found.items():
        display.line(f"  {printable(event)}: {printable(', '.join(targets))}")
    for failure in failures:
        display.line(f"  {display.painted(printable(failure), 'failure')}")
    return DONE if found else NO


_ACTIONS: dict[str, Callable[[Given], int]] = {
    "install": _install,
    "uninstall": _uninstall,
    "show": _show,
}


def _path(given: Given) -> tuple[str, bool]:
    """Which settings file is meant, and whether others share it."""
    if given["project_settings"]:
        return os.path.abspath(os.path.join(".claude", "settings.json")), True
    if given["local"]:
        return os.path.abspath(os.path.join(".claude", "settings.local.json")), False
    home = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(os.path.expanduser("~"), ".claude")
    return os.path.join(home, "settings.json"), False


def _entry_of(given: Given, *, shared: bool) -> Callable[[str], dict[str, Any]]:
    """Makes the entry of each hook."""
    Discretion.of_settings(given["content"], given["redact"])  # what is wrong there is said now
    # What others share must run on their machines too, where this path may not be.
    command = given["command"] or ("tidings" if shared else own_command())
    options = _options(given)
    url = given["http"]
    if url is None:
        return lambda event: command_entry(command, options, event)
    if given["redact"]:
        raise WrongUsage("--redact is for commands; a server has TIDINGS_AGENT_REDACT")
    query = urlencode({key: given[key] for key in ("project", "content") if given[key]})
    # Of a session's start only a command can be told.
    return lambda event: (
        command_entry(command, ["--url", url, *options], event)
        if event == "SessionStart"
        else http_entry(url, query, with_key=given["with_key"])
    )


def _options(given: Given) -> list[str]:
    """The options of `tidings ingest claude-code` that are wanted."""
    options = [] if given["url"] is None else ["--url", given["url"]]
    for option in INGEST:
        value = given[option.key]
        values = value if isinstance(value, list) else filter(None, [value])
        options.extend(f"{option.names[-1]}={each}" for each in values)
    return options


def _without_secrets(text: str) -> str:
    return _ADDRESS.sub(lambda found: masked(found[0]), text)


def _failures() -> list[str]:
    """The last lines of what could not be kept."""
    try:
        with open(os.path.join(settings.home(), LOG), encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in file.readlines()[-_LAST_FAILURES:]]
    except OSError:
        return []


def _read_url(text: str) -> str:
    """The URL of a server.

    Raises:
        ValueError: it is none.
    """
    if not text.startswith(("http://", "https://")):
        raise ValueError("must be the URL of a server, such as http://127.0.0.1:8765")
    return text


_PLACES = ("project_settings", "local")

_OPTIONS = (
    Option(("--project-settings",), "", "in .claude/settings.json here, which a project shares"),
    Option(("--local",), "", "in .claude/settings.local.json here"),
    Option(("--event",), "NAME", "only for this hook; may be given again", repeat=True),
    Option(("--http",), "URL", "send to this server, which Claude Code waits for", read=_read_url),
    Option(("--with-key",), "", "show the server the key in TIDINGS_KEY"),
    Option(("--command",), "COMMAND", "how Tidings is run; else by the path of this program"),
    *INGEST,
)

COMMANDS = (
    Command(
        "hooks",
        "have an AI agent tell Tidings what it does",
        ("claude-code", "install|uninstall|show"),
        _OPTIONS,
        _hooks,
        details="""\
  tidings hooks claude-code install
  tidings hooks claude-code install --local --content prompts

The hooks run in the background. They stand in ~/.claude/settings.json unless --project-settings or
--local is given; the rest of that file stays as it is, and uninstall takes them out again. Prompts
and outputs are left out unless --content asks for them.""",
    ),
)
