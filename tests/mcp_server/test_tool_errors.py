"""What models are told when something is wrong: what it was, where, and what to do next."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, connected
from tidings import errors
from tidings.event import Event
from tidings.mcp_server.telling import BUG, told
from tidings.store.base import Batch
from tidings.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_events", {}),
    ("latest", {}),
    ("history", {}),
    ("search_events", {"contains": "x"}),
    ("get_workflow", {"workflow_id": "w"}),
    ("wait_for_event", {"timeout_seconds": 0}),
    ("list_types", {}),
)


class BrokenStore(MemoryStore):
    """A store whose connection breaks in the middle of an append; what was sent is kept."""

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep, and do not say so."""
        super().append_all(batches)
        raise errors.OutcomeUnknown("the connection broke")


class BuggyStore(MemoryStore):
    """A store with a bug in it, of which secrets could be read."""

    def types(self) -> Any:
        """Fail."""
        raise RuntimeError("password=s3cret")


@pytest.fixture
def no_store(tmp_path: Path) -> str:
    """The URL of a file that is no store."""
    path = tmp_path / "events.db"
    path.write_text("this is no database, and longer than the header of one" * 20)
    return f"sqlite:///{path}"


@pytest.mark.parametrize("mode", GENERATIONS)
def test_a_store_that_is_away_is_an_error_and_never_an_empty_list(
    no_store: str, tmp_path: Path, mode: str
) -> None:
    """Each tool that reads says that the store is away; what is emitted waits in the spool."""
    spool = tmp_path / "spool"

    async def main() -> None:
        async with connected(no_store, mode=mode, spool=str(spool)) as tools:
            for tool, arguments in READS:
                refusal = await tools.refusal(tool, **arguments)
                assert "away" in refusal or "cannot be reached now (NotAStore" in refusal, tool
                assert "again" in refusal
            answer = await tools.call("start_agent", agent_name="x", agent_id="y")
            assert answer["spooled"] is True
            assert "position" not in answer
            assert "waits in the spool" in answer["message"]
            assert "Do not emit it again" in answer["message"]
        assert answer["event_id"] in "".join(
            path.read_text() for path in spool.rglob("*") if path.is_file()
        )

    run(main())


def test_without_a_spool_the_caller_is_told_that_nothing_was_kept(no_store: str) -> None:
    """A server keeps nothing for its clients: what the store cannot take is an error."""

    async def main() -> None:
        async with connected(no_store, spooling=False) as tools:
            refusal = await tools.refusal("emit", type="job_done")
            assert "cannot be reached now (NotAStore" in refusal
            assert "nothing was kept" in refusal
            assert "tidings doctor" in refusal

    run(main())


def test_an_unknown_outcome_gives_the_id_that_makes_a_second_call_harmless() -> None:
    """Where kept or not is not known, the error names the event's id; with it nothing repeats."""

    async def main() -> None:
        store = BrokenStore()
        async with connected(store, spooling=False) as tools:
            refusal = await tools.refusal("start_agent", agent_name="x", agent_id="y")
            (kept,) = await asyncio.to_thread(lambda: list(tools.bus.bus.read()))
            assert f"id={kept.id!r}, which repeats nothing" in refusal

    run(main())


def test_what_conflicts_says_what_stands_there() -> None:
    """A version that was not expected names both, and where to look; nothing was kept."""

    async def main() -> None:
        async with connected() as tools:
            about = {"aggregate_type": "run", "aggregate_id": "r-1"}
            await tools.call("emit", type="run.started", **about, expected_version=0)
            refusal = await tools.refusal("emit", type="run.ended", **about, expected_version=0)
            assert "run/r-1 stands at version 1, not at the expected 0" in refusal
            assert "search_events with its aggregate_type and aggregate_id" in refusal
            (only,) = (await tools.call("history"))["events"]
            assert only["type"] == "run.started"

    run(main())


def test_a_payload_that_does_not_fit_its_schema_is_told_where_the_schema_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Schemas that are strict hold for models too; list_types shows the schema that it broke."""
    monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", "strict")
    schema = {"type": "object", "required": ["loss"]}

    async def main() -> None:
        async with connected() as tools:
            await tools.bus.register_type("agent.x.step", "A step", ["loss"], schema)
            refusal = await tools.refusal(
                "emit_agent_event", agent_name="x", agent_id="a", event_name="step"
            )
            assert refusal.startswith("emit_agent_event: attributes ")
            assert "list_types with the type as prefix shows the schema" in refusal
            (shown,) = (await tools.call("list_types", prefix="agent.x.step"))["types"]
            assert shown["payload_schema"] == schema
            assert all(
                "payload_schema" not in each
                for each in (await tools.call("list_types", prefix="agent.x."))["types"]
            )
            await tools.call(
                "emit_agent_event", agent_name="x", agent_id="a", event_name="step",
                attributes={"loss": 0.5},
            )  # fmt: skip

    run(main())


def test_pruned_history_says_from_where_on_there_is_some() -> None:
    """Who asks for what was pruned is told the first position that is left."""

    async def main() -> None:
        async with connected() as tools:
            for _ in range(5):
                await tools.call("emit", type="x")
            await asyncio.to_thread(tools.bus.store.prune, 3)
            for tool in ("search_events", "wait_for_event"):
                more = {"order": "asc"} if tool == "search_events" else {"timeout_seconds": 0}
                refusal = await tools.refusal(tool, after=1, **more)
                assert "go on with after=3" in refusal
            rest = await tools.call("search_events", after=3, order="asc")
            assert [event["position"] for event in rest["events"]] == [4, 5]

    run(main())


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("history", {"limt": 3}, "no argument 'limt'; did you mean limit? Nothing was done."),
    ("emit", {"event_type": "x"}, "no argument 'event_type'; did you mean type? Nothing"),
    ("history", {"limit": 0}, "limit 0: input should be greater than or equal to 1"),
    ("history", {"limit": 1001}, "limit 1001: input should be less than or equal to 1000"),
    ("wait_for_event", {"timeout_seconds": 301}, "less than or equal to 300"),
    ("start_agent", {"agent_id": "a"}, "agent_name must be given. Nothing was done."),
    ("start_agent", {"agent_name": "", "agent_id": "a"}, "agent_name '': string should have"),
    ("start_agent", {"request": {"agent_id": "a"}}, "agent_name must be given"),
    ("start_agent", {"request": "x"}, "request 'x' should be an object"),
    ("start_agent", {"request": [1]}, "request [1] should be an object"),
    (
        "start_agent",
        {"request": {"agent_name": "x", "agent_id": "a"}, "workflow_id": "w"},
        "was given request and 'workflow_id' beside it",
    ),
    ("emit", {"request": {"type": "x"}}, "emit has no argument 'request'"),
    ("emit", {"type": "x", "payload": [1]}, "payload [1]: input should be a valid object"),
    ("emit", {"type": "a\nb"}, "type 'a\\nb' must not contain control characters"),
    ("emit", {"type": "x", "timestamp": "yesterday"}, "timestamp 'yesterday'"),
    ("emit", {"type": "x", "aggregate_id": "y"}, "must be given: aggregate type and id"),
    (
        "emit_agent_event",
        {"agent_name": "x", "agent_id": "y" * 256, "event_name": "z"},
        "agent_id 'yyyy",
    ),
    (
        "emit_agent_event",
        {"agent_name": "x", "agent_id": "y", "event_name": "z", "workflow_id": "a\tb"},
        "workflow_id 'a\\tb' must not contain control characters",
    ),
    (
        "emit_workflow_event",
        {"workflow_id": "w", "event_name": "z", "attributes": {"a": "x" * 1_048_600}},
        "takes 1,048,626 bytes as JSON; at most 1,048,576 are allowed",
    ),
    ("search_events", {"types": "a*b"}, "a * may stand at the end only"),
    ("search_events", {"since": "soon"}, "since 'soon' must be a moment"),
    ("search_events", {"order": "up"}, "order 'up'"),
    (
        "search_events",
        {"order": "asc", "contains": "x", "after": 1},
        "does not go with contains",
    ),
    ("get_events", {"offset": 10_001}, "offset 10001: input should be less than"),
]
"""Calls that are refused, and what is said."""


def test_what_is_wrong_is_named_and_changes_nothing() -> None:
    """An argument that cannot be used is named with what was given and what holds for it."""

    async def main() -> None:
        async with connected() as tools:
            for tool, arguments, said in REFUSED:
                assert said in await tools.refusal(tool, **arguments)
            assert await tools.bus.latest() is None

    run(main())


def test_a_bug_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An error of ours may hold anything: the log has it, the model is told whom to ask."""

    async def main() -> None:
        async with connected(BuggyStore()) as tools:
            assert await tools.refusal("list_types") == f"list_types: {BUG}"

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "password=s3cret" in caplog.text


def test_who_is_elsewhere_is_told_no_paths() -> None:
    """Over HTTP, errors of the store name their kind and not the files of this machine."""
    for error in (
        errors.StoreLocked("/home/ann/events.db is locked"),
        errors.StoreClosed("/home/ann/events.db is closed"),
        errors.NotKept("/home/ann/spool is full"),
        errors.OutcomeUnknown("/home/ann"),
    ):
        assert "/home/ann" not in told(error, near=False, emitting=True)
    assert "/home/ann/events.db is locked" in told(
        errors.StoreLocked("/home/ann/events.db is locked")
    )
