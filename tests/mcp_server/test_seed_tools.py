"""The tools of eventuali-mcp-server: its arguments in both forms, its events, its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, Tools, connected
from tidings.event import Event
from tidings.timestamps import parse_instant

README: list[tuple[str, dict[str, Any]]] = [
    (
        "start_agent",
        {
            "agent_name": "urlCacher",
            "agent_id": "cache-agent-123",
            "workflow_id": "workflow-456",
            "parent_agent_id": "orchestrator",
        },
    ),
    (
        "emit_agent_event",
        {
            "agent_id": "cache-agent-123",
            "agent_name": "urlCacher",
            "event_name": "processing_started",
            "attributes": {"url_count": 5},
        },
    ),
    (
        "complete_agent",
        {
            "agent_id": "cache-agent-123",
            "agent_name": "urlCacher",
            "success": True,
            "message": "Successfully cached 5 URLs",
        },
    ),
]
"""The calls of that server's README, as they stand there."""


async def history(tools: Tools) -> list[Event]:
    """All events, oldest first."""
    return (await tools.bus.history(100))[::-1]


def without_times(event: Event) -> dict[str, Any]:
    """The payload without the times in it, which must be some."""
    payload = dict(event.payload)
    for key in ("started_at", "completed_at"):
        if key in payload:
            assert parse_instant(payload.pop(key)) <= event.instant
    return payload


@pytest.mark.parametrize("mode", GENERATIONS)
@pytest.mark.parametrize("form", ["flat", "request", "request as text"])
def test_calls_of_its_readme_work_in_every_form(mode: str, form: str) -> None:
    """Flat, in one object, or in one object as text: the same calls keep the same events."""

    async def main() -> None:
        async with connected(mode=mode) as tools:
            for tool, arguments in README:
                given: dict[str, Any] = {"request": arguments}
                if form == "flat":
                    given = arguments
                elif form == "request as text":
                    given = {"request": json.dumps(arguments)}
                answer = await tools.call(tool, **given)
                kept = await tools.bus.latest()
                assert kept is not None
                assert answer == {
                    "success": True,
                    "event_id": kept.id,
                    "message": f"Agent event '{kept.type}' emitted successfully",
                    "timestamp": kept.timestamp,
                    "position": kept.position,
                    "version": kept.version,
                }
            events = await history(tools)
        assert [event.type for event in events] == [
            "agent.urlCacher.started",
            "agent.urlCacher.processing_started",
            "agent.urlCacher.completed",
        ]
        named = {"agent_id": "cache-agent-123", "agent_name": "urlCacher"}
        assert [without_times(event) for event in events] == [
            named,
            {**named, "url_count": 5},
            {**named, "success": True, "message": "Successfully cached 5 URLs"},
        ]
        started = events[0]
        assert (started.aggregate_type, started.aggregate_id) == ("agent", "cache-agent-123")
        assert (started.correlation_id, started.causation_id) == ("workflow-456", "orchestrator")
        assert (started.source, started.status, started.project) == ("mcp", "", "")
        assert events[2].status == "success"

    run(main())


def test_workflows_and_sessions_are_named_as_there() -> None:
    """A workflow is its own correlation; a system event is about its session, or the system."""

    async def main() -> None:
        async with connected() as tools:
            await tools.call("start_workflow", workflow_id="w-1", user_prompt="Cache five URLs")
            await tools.call(
                "emit_workflow_event", workflow_id="w-1", event_name="agent_added",
                user_prompt="again", attributes={"agent_id": "a-1", "workflow_id": "other"},
            )  # fmt: skip
            await tools.call("complete_workflow", workflow_id="w-1", success=False, message="Odd")
            await tools.call("emit_system_event", event_name="session_started", session_id="s-1")
            await tools.call("emit_system_event", event_name="error", attributes={"code": 7})
            events = await history(tools)
        assert [
            (event.type, event.aggregate_type, event.aggregate_id, event.correlation_id,
             event.status, without_times(event))
            for event in events
        ] == [
            ("workflow.started", "workflow", "w-1", "w-1", "",
             {"workflow_id": "w-1", "user_prompt": "Cache five URLs"}),
            ("workflow.agent_added", "workflow", "w-1", "w-1", "",
             {"workflow_id": "other", "agent_id": "a-1", "user_prompt": "again"}),
            ("workflow.failed", "workflow", "w-1", "w-1", "failure",
             {"workflow_id": "w-1", "success": False, "message": "Odd"}),
            ("system.session_started", "system", "s-1", None, "", {"session_id": "s-1"}),
            ("system.error", "system", "system", None, "failure", {"code": 7}),
        ]  # fmt: skip

    run(main())


def test_text_that_looks_like_json_stays_text() -> None:
    """A message or a prompt that happens to be JSON is kept as the text that it is."""

    async def main() -> None:
        async with connected() as tools:
            for text in ('{"a": 1}', "[1]", "null", "true", "7"):
                await tools.call("start_workflow", workflow_id="w-1", user_prompt=text)
                kept = await tools.bus.latest()
                assert kept is not None
                assert kept.payload["user_prompt"] == text

    run(main())


def test_arguments_of_none_count_as_left_out() -> None:
    """Models send null for what they do not use; the events are as if they had not."""

    async def main() -> None:
        async with connected() as tools:
            await tools.call(
                "complete_agent", agent_id="a-1", agent_name="coder", success=None, message=None,
                workflow_id=None, parent_agent_id=None, request=None,
            )  # fmt: skip
            (event,) = await history(tools)
        assert event.type == "agent.coder.completed"
        assert without_times(event)["success"] is True
        assert (event.correlation_id, event.causation_id) == (None, None)

    run(main())


def test_a_beginning_or_an_end_in_the_wrong_place_is_kept_and_said() -> None:
    """An agent that ends without a beginning, or begins twice, is kept; the message says so."""

    async def main() -> None:
        async with connected() as tools:
            ended = await tools.call("complete_agent", agent_id="a-1", agent_name="coder")
            assert "agent 'a-1' has had no event before" in ended["message"]
            begun = await tools.call("start_agent", agent_id="a-1", agent_name="coder")
            assert "agent 'a-1' has had 1 event before" in begun["message"]
            workflow = await tools.call("complete_workflow", workflow_id="w-1")
            assert "workflow 'w-1' has had no event before" in workflow["message"]
            again = await tools.call("start_workflow", workflow_id="w-1", user_prompt="x")
            assert "workflow 'w-1' has had 1 event before" in again["message"]
            assert len(await history(tools)) == 4

    run(main())


def test_a_call_again_with_the_same_id_repeats_nothing() -> None:
    """The same call with the same id gives the same event, although its own times differ."""

    async def main() -> None:
        async with connected() as tools:
            for tool, arguments in README:
                first = await tools.call(tool, **arguments, id=f"my-{tool}")
                again = await tools.call(tool, **arguments, id=f"my-{tool}")
                assert (again["event_id"], again["position"]) == (f"my-{tool}", first["position"])
            assert len(await history(tools)) == 3
            other = await tools.refusal(
                "start_agent", agent_name="urlCacher", agent_id="another", id="my-start_agent"
            )
            assert "belongs to the event at position 1" in other
            assert "give a new event a new id" in other
            attributes = await tools.refusal(
                "emit_agent_event", **{**README[1][1], "attributes": {}}, id="my-emit_agent_event"
            )
            assert "differs in payload" in attributes
            assert len(await history(tools)) == 3

    run(main())


def test_events_are_listed_as_there_and_filters_filter() -> None:
    """get_events has the peer's fields, newest first; its two filters are heeded, and combine."""

    async def main() -> None:
        async with connected() as tools:
            for tool, arguments in README:
                await tools.call(tool, **arguments)
            await tools.call("start_workflow", workflow_id="workflow-456", user_prompt="Cache")
            await tools.bus.emit("job_done", "fig", payload={"job_id": 4711})
            answer = await tools.call("get_events", request={"limit": 2})
            assert (answer["total"], answer["limit"], answer["offset"]) == (5, 2, 0)
            job, workflow = answer["events"]
            prompt = workflow["attributes"]
            assert parse_instant(prompt["started_at"])
            assert workflow == {
                "event_id": workflow["event_id"],
                "aggregate_id": "workflow-456",
                "aggregate_type": "workflow_aggregate",
                "event_type": "WorkflowEvent",
                "event_name": "workflow.started",
                "timestamp": workflow["timestamp"],
                "attributes": prompt,
                "agent_name": None,
                "agent_id": None,
                "parent_agent_id": None,
                "workflow_id": "workflow-456",
                "user_prompt": "Cache",
                "session_id": None,
                "correlation_id": "workflow-456",
                "causation_id": None,
                "position": 4,
            }
            assert (job["event_type"], job["aggregate_id"], job["project"]) == (
                "job_done", "", "fig",
            )  # fmt: skip
            further = await tools.call("get_events", limit=2, before=answer["next_before"])
            skipped = await tools.call("get_events", limit=2, offset=2)
            assert further["events"] == skipped["events"]
            assert [event["position"] for event in skipped["events"]] == [3, 2]
            agent = skipped["events"][1]
            assert (agent["agent_name"], agent["agent_id"]) == ("urlCacher", "cache-agent-123")
            for filters, names in (
                ({"aggregate_type": "agent_aggregate"}, 3),
                ({"aggregate_type": "agent"}, 3),
                ({"event_type": "AgentEvent"}, 3),
                ({"event_type": "agent.*", "aggregate_type": "agent"}, 3),
                ({"event_type": "agent.urlCacher.started"}, 1),
                ({"event_type": "job_done", "aggregate_type": "agent"}, 0),
            ):
                found = await tools.call("get_events", **filters)
                assert len(found["events"]) == found["total"] == names
            both = await tools.refusal(
                "get_events", event_type="AgentEvent", aggregate_type="workflow"
            )
            assert "contradicts" in both

    run(main())


def test_large_attributes_are_cut_and_no_event_is_left_out() -> None:
    """A client that pages by numbers misses nothing, however large the events are."""

    async def main() -> None:
        async with connected() as tools:
            for number in range(12):
                await tools.bus.emit("big", payload={"text": "x" * 200_000, "number": number})
            cut = await tools.call("get_events", limit=12)
            assert [event["attributes"]["number"] for event in cut["events"]] == list(range(12))[
                ::-1
            ]
            assert all(event["payload_cut"] for event in cut["events"])
            assert len(json.dumps(cut)) < 50_000
            whole = await tools.call("get_events", limit=12, payload_limit=1_000_000)
            sizes = [len(event["attributes"]["text"]) for event in whole["events"]]
            assert sizes[0] == 200_000
            assert sizes[-1] < 1_000
            assert len(json.dumps(whole)) < 1_100_000

    run(main())
