"""Our own tools: emit, latest, history, search_events, get_workflow, list_types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, KeyDoor, Tools, connected


def positions(answer: dict[str, Any]) -> list[int]:
    """Where the events of an answer are."""
    return [event["position"] for event in answer["events"]]


async def fill(tools: Tools) -> None:
    """A workflow with two agents, of which one failed, beside two jobs."""
    await tools.call("start_workflow", workflow_id="w-1", user_prompt="Cache five URLs")
    agent = {"agent_name": "planner", "agent_id": "a-1", "workflow_id": "w-1"}
    await tools.call("start_agent", **agent)
    helper = {"agent_name": "fetcher", "agent_id": "a-2", "workflow_id": "w-1"}
    await tools.call("start_agent", **helper, parent_agent_id="a-1")
    await tools.call("complete_agent", **helper, success=False, message="No network")
    await tools.call("emit", type="job_done", project="fig", payload={"host": "n12", "n": 1})
    await tools.call("emit", type="job_done", project="other", payload={"host": "n13", "n": 2})


@pytest.mark.parametrize("mode", GENERATIONS)
def test_what_is_emitted_is_kept_with_every_field(mode: str) -> None:
    """Each argument of emit is kept in its field; the answer says where."""
    fields = {
        "type": "train.completed",
        "payload": {"loss": 0.25, "tags": ["a", None]},
        "project": "fig",
        "aggregate_type": "run",
        "aggregate_id": "r-1",
        "correlation_id": "w-1",
        "causation_id": "a-1",
        "user_id": "ann",
        "source": "hpc",
        "timestamp": "2026-01-31T12:00:00",
        "id": "mine",
        "expected_version": 0,
    }

    async def main() -> None:
        async with connected(mode=mode) as tools:
            answer = await tools.call("emit", **fields)
            event = await tools.bus.latest()
            assert event is not None
            kept = event.to_dict()
        assert answer == {
            "success": True,
            "event_id": "mine",
            "message": "'train.completed' is kept",
            "timestamp": "2026-01-31T12:00:00+00:00",
            "position": 1,
            "version": 1,
        }
        del fields["expected_version"]
        # A time without offset is UTC, and the outcome is what the type says.
        said = {**fields, "timestamp": "2026-01-31T12:00:00+00:00", "status": "success"}
        assert {field: kept[field] for field in said} == said

    run(main())


def test_the_newest_event_is_found_by_type_and_project() -> None:
    """`latest` gives the newest that fits, and says what to do where there is none."""

    async def main() -> None:
        async with connected() as tools:
            await fill(tools)
            assert (await tools.call("latest"))["event"]["payload"] == {"host": "n13", "n": 2}
            of_type = await tools.call("latest", type="agent.*")
            assert of_type["event"]["type"] == "agent.fetcher.failed"
            of_project = await tools.call("latest", type="job_done", project="fig")
            assert of_project["event"]["payload"] == {"host": "n12", "n": 1}
            none = await tools.call("latest", type="nope", project="fig")
            assert none == {
                "found": False,
                "message": "there is no event of type 'nope' in project 'fig'; list_types says "
                "which types there are",
            }

    run(main())


def test_an_outcome_that_nobody_uses_is_not_answered_in_silence() -> None:
    """`failed` is no outcome but a natural mistake; where it finds nothing, the answer says so."""

    async def main() -> None:
        async with connected() as tools:
            await fill(tools)
            for tool in ("history", "search_events"):
                answer = await tools.call(tool, status="failed")
                assert answer["message"] == (
                    "nothing matches; outcomes are success and failure, not 'failed'"
                )
            waited = await tools.call("wait_for_event", status="failed", timeout_seconds=0)
            assert "outcomes are success and failure" in waited["message"]
            kept = await tools.call("emit", type="x", status="odd")
            assert kept["message"] == "'x' is kept; outcomes are success and failure, not 'odd'"
            assert positions(await tools.call("history", status="odd")) == [7]

    run(main())


def test_history_is_read_on_from_where_it_ended() -> None:
    """Page by page, newest first, each event comes once and the last page says that it is."""

    async def main() -> None:
        async with connected() as tools:
            await fill(tools)
            seen = []
            answer = await tools.call("history", limit=4)
            while True:
                seen += positions(answer)
                if answer["complete"]:
                    break
                answer = await tools.call("history", limit=4, before=answer["next_before"])
            assert seen == [6, 5, 4, 3, 2, 1]
            failed = await tools.call("history", status="failure")
            assert positions(failed) == [4]
            both = await tools.call("history", types=["job_*", "workflow.*"], project=None)
            assert positions(both) == [6, 5, 1]

    run(main())


SEARCHES: list[tuple[dict[str, Any], list[int]]] = [
    ({"correlation_id": "w-1"}, [4, 3, 2, 1]),
    ({"correlation_id": "w-1", "order": "asc"}, [1, 2, 3, 4]),
    ({"order": "asc", "after": 4}, [5, 6]),
    ({"aggregate_type": "agent", "aggregate_id": "a-2"}, [4, 3]),
    ({"aggregate_type": "agent_aggregate", "types": "agent.f*"}, [4, 3]),
    ({"types": "agent.fetcher.failed"}, [4]),
    ({"ids": ["nobody's"]}, []),
    ({"causation_id": "a-1"}, [3]),
    ({"payload": {"host": "n12"}}, [5]),
    ({"payload": '{"n": 2}'}, [6]),
    ({"contains": "no NETWORK"}, [4]),
    ({"source": "mcp", "project": "other"}, [6]),
    ({"since": "2999-01-01T00:00:00Z"}, []),
    ({"until": "2000-01-01"}, []),
    ({"before": 3}, [2, 1]),
    ({"user_id": "ann"}, []),
]
"""Conditions, and where the events are that they find among those of `fill`."""


def test_events_are_searched_by_every_condition() -> None:
    """Each condition of search_events narrows what is found; one that makes no sense is refused."""

    async def main() -> None:
        async with connected() as tools:
            await fill(tools)
            for conditions, found in SEARCHES:
                answer = await tools.call("search_events", **conditions)
                assert (positions(answer), answer["complete"]) == (found, True), conditions
            refusal = await tools.refusal("search_events", types="*.failed")
            assert "a * may stand at the end only" in refusal

    run(main())


def test_one_event_is_shown_in_full_on_demand() -> None:
    """A long payload is cut and marked; its id and a larger payload_limit give all of it."""
    payload = {"log": "line\n" * 2_000, "exit_code": 1, "parts": list(range(500))}

    async def main() -> None:
        async with connected() as tools:
            kept = await tools.call("emit", type="job_failed", payload=payload)
            cut = (await tools.call("latest"))["event"]
            assert cut["payload_cut"] is True
            assert cut["payload"]["exit_code"] == 1
            assert cut["payload"]["log"].endswith("characters more]")
            assert cut["payload"]["parts"][-1].endswith("more]")
            assert "context" not in cut
            whole = await tools.call(
                "search_events", ids=kept["event_id"], payload_limit=20_000, details=True
            )
            (event,) = whole["events"]
            assert event["payload"] == payload
            assert "payload_cut" not in event
            assert event["context"]["host"]
            assert event["recorded_at"]

    run(main())


def test_an_answer_is_never_much_too_long() -> None:
    """Where the events asked for do not fit into an answer, it ends early and says how to go on."""

    async def main() -> None:
        async with connected() as tools:
            for number in range(60):
                await tools.bus.emit("big", payload={"text": "x" * 3_000, "number": number})
            answer = await tools.call("history", limit=60, payload_limit=5_000)
            assert not answer["complete"]
            assert 5 < len(answer["events"]) < 60
            assert len(json.dumps(answer)) < 70_000
            seen = positions(answer)
            while not answer["complete"]:
                answer = await tools.call(
                    "history", limit=60, payload_limit=5_000, before=answer["next_before"]
                )
                seen += positions(answer)
            assert seen == list(range(60, 0, -1))

    run(main())


def test_a_workflow_is_shown_as_a_tree() -> None:
    """Each node stands below what started it, with its state, outcome and how long it took."""

    async def main() -> None:
        async with connected() as tools:
            await fill(tools)
            answer = await tools.call("get_workflow", workflow_id="w-1")
            assert [
                (node["id"], node["kind"], node["name"], node.get("parent_id"), node["depth"],
                 node["children"], node["state"], node.get("status"), node["events"])
                for node in answer["nodes"]
            ] == [
                ("w-1", "workflow", "w-1", None, 0, ["a-1"], "running", None, 1),
                ("a-1", "agent", "planner", "w-1", 1, ["a-2"], "running", None, 1),
                ("a-2", "agent", "fetcher", "a-1", 2, [], "failed", "failure", 2),
            ]  # fmt: skip
            assert answer["nodes"][2]["duration"] >= 0
            assert answer["truncated"] is False
            small = await tools.call("get_workflow", workflow_id="w-1", limit=1)
            assert (len(small["nodes"]), small["truncated"]) == (2, True)
            refusal = await tools.refusal("get_workflow", workflow_id="w-2")
            assert "there is no workflow 'w-2'" in refusal
            assert "search_events" in refusal

    run(main())


def test_types_are_listed_page_by_page() -> None:
    """Known types say what they mean, those that occur how often; pages go on by name."""

    async def main() -> None:
        async with connected() as tools:
            await fill(tools)
            answer = await tools.call("list_types", limit=3)
            names = [each["type"] for each in answer["types"]]
            while "next_after" in answer:
                answer = await tools.call("list_types", limit=3, after=answer["next_after"])
                names += [each["type"] for each in answer["types"]]
            assert names == sorted({*await tools.bus.list_types(), *names})
            (job,) = (await tools.call("list_types", prefix="job_done"))["types"]
            assert job == {**job, "count": 2, "last_position": 6}
            assert job["description"]
            assert "job_id" in job["payload_keys"]

    run(main())


def test_a_key_sees_and_emits_what_it_is_for() -> None:
    """A key for one project neither sees nor emits for others, and counts nothing of theirs."""

    async def main() -> None:
        async with connected(door=KeyDoor("emit", "read", projects={"fig"})) as tools:
            await tools.bus.emit("secret", "other", id="theirs")
            await tools.bus.emit(
                "agent.x.started", "other", aggregate_type="agent", aggregate_id="a",
                correlation_id="w-1",
            )  # fmt: skip
            await tools.call("emit", type="mine", project="fig")
            assert positions(await tools.call("history")) == [3]
            assert (await tools.call("get_events"))["total"] == 1
            assert (await tools.call("latest", type="secret"))["found"] is False
            assert positions(await tools.call("search_events", ids="theirs")) == []
            waited = await tools.call("wait_for_event", after=0, types="s*", timeout_seconds=0)
            assert waited["found"] is False
            assert "there is no workflow" in await tools.refusal("get_workflow", workflow_id="w-1")
            types = await tools.call("list_types")
            assert "secret" not in [each["type"] for each in types["types"]]
            assert all("count" not in each for each in types["types"])
            for refusal in (
                await tools.refusal("emit", type="x", project="other"),
                await tools.refusal("start_agent", agent_name="x", agent_id="y"),
                await tools.refusal("history", project="other"),
            ):
                assert "only for 'fig'" in refusal
            assert "call again with project='fig'" in await tools.refusal("emit", type="x")
            taken = await tools.refusal(
                "emit", type="secret", project="fig", source="local", id="theirs"
            )
            assert "of another project" in taken
            assert "payload" not in taken

    run(main())


@pytest.mark.parametrize(("scope", "works"), [("read", "history"), ("emit", "emit")])
def test_a_key_without_the_scope_is_told_which_it_needs(scope: str, works: str) -> None:
    """Every tool asks for the scope it needs; who has the other one is told."""
    emitting = {
        "emit": {"type": "x"},
        "start_agent": {"agent_name": "x", "agent_id": "y"},
        "emit_agent_event": {"agent_name": "x", "agent_id": "y", "event_name": "z"},
        "complete_agent": {"agent_name": "x", "agent_id": "y"},
        "start_workflow": {"workflow_id": "w", "user_prompt": "z"},
        "emit_workflow_event": {"workflow_id": "w", "event_name": "z"},
        "complete_workflow": {"workflow_id": "w"},
        "emit_system_event": {"event_name": "z"},
    }
    reading: dict[str, dict[str, Any]] = {
        "get_events": {},
        "latest": {},
        "history": {},
        "search_events": {},
        "get_workflow": {"workflow_id": "w"},
        "wait_for_event": {"timeout_seconds": 0},
        "list_types": {},
    }

    async def main() -> None:
        async with connected(door=KeyDoor(scope)) as tools:
            listed = {tool.name for tool in (await tools.client.list_tools()).tools}
            assert listed == {*emitting, *reading}
            forbidden, missing = (emitting, "emit") if scope == "read" else (reading, "read")
            for tool, arguments in forbidden.items():
                refusal = await tools.refusal(tool, **arguments)
                assert refusal.startswith(f"{tool}: the key 'laptop' does not allow {missing}")
                assert "for the user to settle" in refusal
            assert await tools.bus.latest() is None
            await tools.call(works, **{**emitting, **reading}[works])

    run(main())
