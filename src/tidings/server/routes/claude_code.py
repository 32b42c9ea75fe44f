"""POST /ingest/claude-code: what hooks of Claude Code are told, as `type: http` hooks send it.

The answer is an empty object, which Claude Code takes for no opinion, once the events are kept.
Prompts and outputs that arrive are left out here: the server's `TIDINGS_AGENT_CONTENT` says what is
kept, and a request may only ask for less. Keeps promise 5 on every body, and promise 6: a key that
is for projects emits for no other.
"""

from __future__ import annotations

import asyncio

from tidings.errors import Conflict, InvalidEvent, TidingsError
from tidings.event import Event
from tidings.integrations.claude_code.hook import LONGEST_SESSION, Hook, hooks_in
from tidings.integrations.claude_code.lineage import asks_for_parent, parent_in, query_for_parent
from tidings.integrations.claude_code.mapping import attempts_at, events_of
from tidings.integrations.discretion import CONTENT
from tidings.server.calls import BareRoute
from tidings.server.ingest.formats import JSON, NDJSON, NDJSON_TYPES, format_of
from tidings.server.ingest.intake import count_refusal, keep_whole
from tidings.server.ingest.sizes import ARRAY_BYTES
from tidings.server.openapi import PLAIN, PROBLEM
from tidings.server.problems import Problem, problem_of, unprocessable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.integrations.discretion import Discretion
    from tidings.server.calls import Call

__all__ = ["BARE"]

_MOST_HOOKS = 1000
"""So many hooks are taken at once; for some of them what came before must be read."""

_LARGE_BODY = 64 * 1024
"""From here on a body is read in a thread, so that the loop goes on meanwhile (bytes)."""


async def _take(call: Call) -> None:
    """Answer the route."""
    try:
        if format_of(call) not in (JSON, NDJSON):
            format_of(call, only_json=True)  # says what is read
        discretion, project = _wishes(call)
        body = await call.body(ARRAY_BYTES)
        large = len(body) >= _LARGE_BODY
        told = await asyncio.to_thread(hooks_in, body) if large else hooks_in(body)
        if not told:
            raise InvalidEvent("body", "", "must be the JSON object that a hook is given")
        if len(told) > _MOST_HOOKS:
            detail = (
                f"{_MOST_HOOKS:,} hooks are taken at once, not {len(told):,}; send them in parts"
            )
            raise Problem(413, "too-large", detail, limit=_MOST_HOOKS)
        for index, each in enumerate(told):
            try:
                await _keep(call, Hook(each), discretion, project)
            except (InvalidEvent, Problem) as error:
                raise _at(error, index, len(told)) from error
    except TidingsError as error:
        count_refusal(call.service.metrics, error)
        raise
    await call.answer(200, b"{}")


async def _keep(call: Call, hook: Hook, discretion: Discretion, project: str | None) -> None:
    """As `claude_code.taking` does it, but for a caller who may not do everything."""
    parent = None
    if asks_for_parent(hook):
        query = call.caller.narrow(query_for_parent(hook))
        parent = parent_in([event async for event in call.service.bus.read(query)], hook)
    attempts = attempts_at(hook)
    for again, apart, version in attempts:
        fields = events_of(hook, discretion, project, parent, again=again, apart=apart)
        events = [Event(**each, max_payload=call.service.max_payload) for each in fields]
        call.caller.require_project(events[0].project)
        try:
            await keep_whole(call, events, version, None)
        except (Conflict, Problem) as error:
            is_last = (again, apart, version) == attempts[-1]
            if is_last or problem_of(error).slug not in ("id-conflict", "version-conflict"):
                raise
        else:
            return


def _wishes(call: Call) -> tuple[Discretion, str | None]:
    """What is kept of texts, and what the events belong to."""
    discretion = call.service.discretion
    project: str | None = None
    for name, value in call.params:
        if name == "project":
            project = value
        elif name == "content" and value in CONTENT:
            discretion = discretion.at_most(value)
        elif name == "content":
            raise unprocessable(name, value, f"must be one of {', '.join(CONTENT)}")
        else:
            raise unprocessable(name, value, "is not known here; there are project and content")
    projects = call.caller.projects
    if project is None and projects is not None and len(projects) == 1:
        (project,) = projects
    return discretion, project


def _at(error: TidingsError, index: int, count: int) -> TidingsError:
    """The error, with the place of the hook among many."""
    if count == 1:
        return error
    problem = problem_of(error)
    problem.members["index"] = index
    return problem


_HOOK = {
    "description": "What a hook of Claude Code is given, as it is",
    "type": "object",
    "required": ["session_id", "hook_event_name"],
    "properties": {
        "session_id": {
            "description": "The session, which becomes a workflow",
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_SESSION,
            "pattern": PLAIN,
        },
        "hook_event_name": {
            "description": "Which hook it is, such as PreToolUse",
            "type": "string",
            "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        },
    },
}

_OPERATION: dict[str, Any] = {
    "tags": ["integrations"],
    "summary": "Keep what hooks of Claude Code are told",
    "description": "The body is a hook's JSON, an array of such, or one a line. Sessions, prompts, "
    "agents and calls of tools become events; what is told twice is kept once. Prompts and outputs "
    "are left out unless the server's `TIDINGS_AGENT_CONTENT` says otherwise",
    "operationId": "keep_claude_code_hooks",
    "parameters": [
        {
            "name": "project",
            "in": "query",
            "description": "What the events belong to; else the name of the directory",
            "schema": {"type": "string", "maxLength": 255, "pattern": PLAIN},
        },
        {
            "name": "content",
            "in": "query",
            "description": "What is kept of texts, if it is less than the server keeps",
            "schema": {"type": "string", "enum": list(CONTENT)},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_HOOK, {"type": "array", "minItems": 1, "items": _HOOK}]}
            },
            **{
                media_type: {"schema": {"type": "string", "description": "One hook a line"}}
                for media_type in NDJSON_TYPES
            },
        },
    },
    "responses": {
        "200": {
            "description": "They are kept. The answer holds nothing, so it influences nothing",
            "content": {"application/json": {"schema": {"type": "object", "maxProperties": 0}}},
        },
        **dict.fromkeys(("408", "409", "413", "415", "422"), PROBLEM),
    },
}

BARE = (BareRoute("POST", "/ingest/claude-code", "emit", _take, _OPERATION),)
