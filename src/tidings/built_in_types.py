"""The event types every catalog knows from the start.

Only data: what each type says and which payload keys its readers may expect. `catalog` looks them
up and adds what users register. The first five are those of scitex-events 0.1.7, with its keys.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BUILT_IN"]

_WORK = {
    "test_complete": (
        "A test suite ended, on this machine or on a cluster",
        "exit_code module log_tail",
    ),
    "job_done": ("A job of a cluster's queue, such as Slurm's, ended", "job_id host state"),
    "build_result": ("A LaTeX manuscript was built", "doc_type success errors"),
    "scholar_done": ("Papers were fetched and their records completed", "count failed project"),
    "stats_done": ("A long statistical computation ended", "test_name p_value duration"),
}

_ENVELOPE = {
    "created": ("A thing came into being; published as an envelope", ""),
    "updated": ("A thing changed; published as an envelope", ""),
    "deleted": ("A thing is gone; published as an envelope", ""),
}

_AGENT = {
    "agent.started": ("An agent began its work", "agent_name message"),
    "agent.waiting": ("An agent waits for an answer or a permission", "agent_name message"),
    "agent.completed": ("An agent reached its end", "agent_name message"),
    "agent.failed": ("An agent gave up", "agent_name message error"),
    "agent.spawned": ("An agent says which agent it started", "agent_name"),
    "handoff": ("An agent passed the work on to another", "from_agent to_agent reason"),
}

_TOOL = {
    "tool.started": ("An agent called a tool", "tool_name input"),
    "tool.completed": ("A tool gave its result", "tool_name"),
    "tool.failed": ("A tool ended with an error", "tool_name error"),
}

_MODEL = {
    "model.started": ("A language model was asked", "model"),
    "model.completed": ("A language model answered", "model duration"),
    "model.failed": ("A language model did not answer", "model error duration"),
}

_WORKFLOW = {
    "workflow.started": ("A workflow began", "user_prompt"),
    "workflow.prompted": ("A person asked for something in a workflow", "prompt"),
    "workflow.completed": ("A workflow reached its end", "message"),
    "workflow.failed": ("A workflow gave up", "error"),
}

_SYSTEM = {
    "session.started": ("A session began", "session_type"),
    "session.ended": ("A session ended", "session_type reason"),
}

_RUN = {
    "run.started": ("`tidings run` started a command", "command"),
    "run.signaled": (
        "A command under `tidings run` was asked to end and lives on",
        "command signal started_at duration tail",
    ),
    "run.completed": (
        "A command under `tidings run` ended (duration in seconds, max_rss in bytes)",
        "command exit_code signal started_at duration max_rss tail",
    ),
}

_OWN: dict[str, dict[str, tuple[str, str]]] = {
    "subscription": {
        "tidings.dead_letter": (
            "An event was given up for a handler or a webhook; `tidings dead-letters` tells more",
            "subscription position event_id type attempts error held",
        ),
        "tidings.subscription.skipped": (
            "Events were pruned before a handler was called for them",
            "subscription partition from to about",
        ),
    },
    "webhook": {
        "tidings.webhook.disabled": (
            "A webhook was stopped: its receiver is gone, or failed for too long",
            "endpoint url description reason failing_since status error",
        ),
        "tidings.webhook.skipped": (
            "Events were pruned before a webhook was sent them",
            "endpoint url shard endpoints first",
        ),
    },
    "notice": {
        "tidings.notice.sent": (
            "A message was sent to people",
            "notice title events positions undertakings",
        ),
        "tidings.notice.failed": (
            "A message to people cannot be sent; it is tried again",
            "notice error position",
        ),
    },
    "watch": {
        "tidings.watch.missed": (
            "An event that was expected did not come in time",
            "watch expects within of deadline last",
        ),
        "tidings.watch.stuck": (
            "What began has not ended, or not been heard of, in time",
            "watch expects within of about began heard deadline last",
        ),
        "tidings.watch.recovered": (
            "What was missed or stuck came, was heard of or ended after all",
            "watch expects within of about ended deadline late happened kept event",
        ),
        "tidings.watch.full": (
            "Too much has begun and not ended; a watch leaves further ones out",
            "watch expects within of most first",
        ),
    },
}
"""By what they are about."""


def _describe(
    types: dict[str, tuple[str, str]], aggregate_type: str | None = None
) -> dict[str, dict[str, Any]]:
    about = {} if aggregate_type is None else {"aggregate_type": aggregate_type}
    return {
        name: {"description": description, "payload_keys": keys.split(), **about}
        for name, (description, keys) in types.items()
    }


BUILT_IN: dict[str, dict[str, Any]] = {
    **_describe(_WORK),
    **_describe(_ENVELOPE),
    **_describe(_AGENT, "agent"),
    **_describe(_TOOL, "tool"),
    **_describe(_MODEL, "model"),
    **_describe(_WORKFLOW, "workflow"),
    **_describe(_SYSTEM, "system"),
    **_describe(_RUN, "run"),
    **{
        name: entry
        for kind, types in _OWN.items()
        for name, entry in _describe(types, kind).items()
    },
}
"""The built-in types by name; look them up through a catalog, which hands out copies."""
