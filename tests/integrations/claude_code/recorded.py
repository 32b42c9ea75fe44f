"""A recorded session: what Claude Code told its hooks, in the order in which it told them.

In the shapes of https://code.claude.com/docs/en/hooks (October 2026): two prompts, a compaction
between them; an agent in the foreground beside one in the background, which starts a third; an
agent of Claude Code itself; a call that fails, an agent that fails, and a turn that fails.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidings.integrations.claude_code.hook import Hook
from tidings.integrations.claude_code.taking import take
from tidings.integrations.discretion import Discretion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.bus import Bus
    from tidings.event import Event

__all__ = ["MAIN", "PATH", "SECRETS", "SESSION", "TEXTS", "TREE", "record", "told", "walk_back"]

PATH = Path(__file__).with_name("session.ndjson")
SESSION = "0b6c2a54-3f17-4f0e-9a43-5d1c8e7ab210"
MAIN = f"main-{SESSION}"
EXPLORER, PROFILER = "a3f19c0d2b7e4451", "a91b77e2c05d8f36"
REVIEWER, DEBUGGER = "ad04e6b8f1723c9a", "a5577c3ee0914b2d"

TREE = [
    (SESSION, None, SESSION, "done"),
    (MAIN, SESSION, "main", "failed"),
    (EXPLORER, MAIN, "Explore", "done"),
    (PROFILER, MAIN, "general-purpose", "done"),
    (REVIEWER, PROFILER, "code-reviewer", "done"),
    (DEBUGGER, MAIN, "debugger", "failed"),
]
"""Each node: its id, its parent, its name and how it stands. Siblings may stand in any order."""

SECRETS = ("ghp_0123456789abcdefghijABCDEFGHIJ", "k-92837465")
"""What the prompts and commands hold that nobody should keep."""

TEXTS = (
    "Find out why",
    "redraw everything",
    "PROFILE-OUTPUT",
    "not a git repository",
    "CACHE = {}",
)
"""Of prompts, answers, outputs, errors and files."""


def told() -> list[dict[str, Any]]:
    """What the hooks were told, each anew."""
    return [json.loads(line) for line in PATH.read_text().splitlines()]


def record(bus: Bus, hooks: Iterable[dict[str, Any]], content: str = "off") -> list[Event]:
    """Keep what hooks were told; gives the events of all of them."""
    return [event for each in hooks for event in take(bus, Hook(each), Discretion(content))]


def walk_back(bus: Bus, event: Event) -> list[str]:
    """The types of the events on the way back along what caused one."""
    types = [event.type]
    while event.causation_id:
        of_agent = bus.read(aggregate_type="agent", aggregate_id=event.causation_id, limit=1)
        event = [*bus.read(ids=event.causation_id), *of_agent][0]
        types.append(event.type)
    return types
