"""Claude Code: what its hooks say becomes session, agent and tool events.

    hook          the JSON that a hook is given, read
    kept          what of it an event keeps: names, sizes, times; texts only where asked for
    mapping       the events that it becomes
    lineage       which call of a tool a sub-agent was started by
    taking        into a bus: within its time, else into the spool
    settings_file changes of a settings.json that leave the rest of it as it is
    entries       the entries of our hooks there

Keeps promise 4 towards the agent: what cannot be made an event, or be kept, never reaches it.
Source: https://code.claude.com/docs/en/hooks, as of October 2026.
"""

from __future__ import annotations

__all__: list[str] = []
