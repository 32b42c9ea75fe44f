"""The arguments that tools share, each with what a model must know of it.

An optional text is empty where it is left out, and never none: the SDK reads the text of an
argument that may be something else than text as JSON.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

__all__ = [
    "After",
    "AgentId",
    "AgentName",
    "AggregateId",
    "AggregateType",
    "Attributes",
    "Before",
    "CausationId",
    "Contains",
    "CorrelationId",
    "Details",
    "EventId",
    "EventName",
    "EventType",
    "ExpectedVersion",
    "Ids",
    "Limit",
    "Message",
    "OfCausation",
    "OfCorrelation",
    "OfKind",
    "OfProject",
    "OfSource",
    "OfStatus",
    "OfThing",
    "OfUser",
    "Order",
    "OwnWorkflowId",
    "ParentAgentId",
    "Payload",
    "PayloadLimit",
    "PayloadValues",
    "Project",
    "Seconds",
    "SessionId",
    "Since",
    "Source",
    "Status",
    "Success",
    "Timestamp",
    "Types",
    "Until",
    "UserId",
    "UserPrompt",
    "WorkflowId",
]

MOST = 1000
"""The most events of one answer."""

LONGEST_PAYLOAD = 8 * 1024 * 1024
"""The most characters of one payload in an answer; more than a payload may have."""

MOST_SECONDS = 300.0
"""The longest that a tool waits."""


def _several(value: Any) -> Any:
    """One text counts as a list of one: models write both."""
    return [value] if isinstance(value, str) else value


def _with_offset(text: str) -> str:
    """A time without offset is UTC, as over HTTP; what is no time is refused where it is used."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if moment.tzinfo is not None else moment.replace(tzinfo=UTC).isoformat()


# What is emitted ------------------------------------------------------------------------------

AgentName = Annotated[
    str, Field(min_length=1, description="Kind of agent, such as urlCacher; part of the type")
]
AgentId = Annotated[
    str, Field(min_length=1, description="Id of this run of the agent; unique to it")
]
ParentAgentId = Annotated[str, Field(description="Id of the agent that started this one")]
WorkflowId = Annotated[str, Field(description="Id of the workflow it belongs to")]
OwnWorkflowId = Annotated[str, Field(min_length=1, description="Id of the workflow; unique to it")]
EventName = Annotated[
    str, Field(min_length=1, description="Last part of the type: started, progress, url_fetched, …")
]
Attributes = Annotated[
    dict[str, Any] | None, Field(description="What there is to say about it, an object")
]
UserPrompt = Annotated[str, Field(description="What the user asked for")]
SessionId = Annotated[str, Field(description="Groups the events of a session")]
Success = Annotated[bool, Field(description="false if it failed")]
Message = Annotated[str, Field(description="How it ended, or why it failed")]
Project = Annotated[str, Field(description="Project it belongs to")]
EventId = Annotated[
    str,
    Field(description="An id of your own, such as a UUID: called again with it, nothing repeats"),
]
EventType = Annotated[str, Field(description="What happened, such as job_done or build.failed")]
Payload = Annotated[dict[str, Any] | None, Field(description="What there is to say, an object")]
Status = Annotated[
    str,
    Field(
        description="Outcome: success or failure. Left out: failure for types that end in failed "
        "or error, success for completed, else none"
    ),
]
AggregateType = Annotated[
    str, Field(description="Kind of thing it is about: agent, workflow, run, … (with aggregate_id)")
]
AggregateId = Annotated[str, Field(description="The thing it is about (with aggregate_type)")]
CorrelationId = Annotated[
    str, Field(description="Larger undertaking: a workflow's id, a job array, a CI run")
]
CausationId = Annotated[str, Field(description="What caused it: an event's or an agent's id")]
UserId = Annotated[str, Field(description="On whose behalf")]
Source = Annotated[str, Field(description="Where it comes from, such as mcp, local, hpc, ci")]
Timestamp = Annotated[
    str,
    AfterValidator(_with_offset),
    Field(description="When it happened: 2026-01-31T12:00:00Z. Left out: now"),
]
ExpectedVersion = Annotated[
    int | None,
    Field(ge=0, description="Keep it only if the aggregate stands at this version; 0: is new"),
]

# What is read ---------------------------------------------------------------------------------

Types = Annotated[
    list[str] | None,
    BeforeValidator(_several, json_schema_input_type=list[str] | None),
    Field(description="Event types, any of them; a * may end one: agent.*"),
]
Ids = Annotated[
    list[str] | None,
    BeforeValidator(_several, json_schema_input_type=list[str] | None),
    Field(description="Ids of events, any of them"),
]
OfProject = Annotated[str, Field(description="Only of this project")]
OfStatus = Annotated[str, Field(description="Only with this outcome: success or failure")]
OfSource = Annotated[str, Field(description="Only from there: mcp, http, local, hpc, ci, …")]
OfKind = Annotated[
    str, Field(description="Only about things of this kind: agent, workflow, run, system, …")
]
OfThing = Annotated[str, Field(description="Only about the thing with this id, such as an agent's")]
OfCorrelation = Annotated[
    str, Field(description="Only of this undertaking: a workflow's id, a job array, a CI run")
]
OfCausation = Annotated[str, Field(description="Only caused by this event or agent")]
OfUser = Annotated[str, Field(description="Only on behalf of this user")]
Since = Annotated[
    str,
    AfterValidator(_with_offset),
    Field(description="Happened then or later: 2026-01-31T12:00:00Z"),
]
Until = Annotated[
    str,
    AfterValidator(_with_offset),
    Field(description="Happened before then: 2026-01-31T12:00:00Z"),
]
Contains = Annotated[str, Field(description="Text in the payload's JSON; case of A–Z ignored")]
PayloadValues = Annotated[
    dict[str, Any] | None,
    Field(description='Values that keys of the payload must have: {"host": "n12"}'),
]
Limit = Annotated[int, Field(ge=1, le=MOST, description="At most so many")]
Order = Annotated[str, Field(pattern="^(asc|desc)$", description="desc: newest first; or asc")]
Before = Annotated[int, Field(ge=0, description="Only events before this position; 0: no bound")]
After = Annotated[int, Field(ge=0, description="Only events after this position; 0: no bound")]
PayloadLimit = Annotated[
    int,
    Field(
        ge=20,
        le=LONGEST_PAYLOAD,
        description="Characters of each payload; longer ones are cut and marked payload_cut",
    ),
]
Details = Annotated[
    bool, Field(description="Also say where each was made (host, job, commit) and when kept")
]
Seconds = Annotated[
    float, Field(ge=0, le=MOST_SECONDS, description="The longest to wait (seconds)")
]
