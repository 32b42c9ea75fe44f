"""Resources: what they hold, by which address, and what they say where they hold nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from tests.bus.loops import run
from tests.mcp_server.tool_calls import GENERATIONS, KeyDoor, connected
from tidings.mcp_server.addresses import EVENT, WORKFLOW, Place, address_of, place_of
from tidings.mcp_server.making import Ground, LazyBus, create_mcp

if TYPE_CHECKING:
    from pathlib import Path

AWKWARD = (
    "a/b", "/etc/passwd", "../../x", "100%", "%2F", "a b?c#d", "übung", "事件", "recent", "a+b&c=d",
    "tidings://events/x", "'; --", "\N{GRINNING FACE}", "x" * 255,
)  # fmt: skip


async def read(client: Client, address: str) -> dict[str, Any]:
    """What a resource holds; it must be JSON and say so."""
    (content,) = (await client.read_resource(address)).contents
    assert content.uri == address
    assert content.mime_type == "application/json"
    return json.loads(content.text)  # type: ignore[no-any-return, union-attr]  # an object, or it fails


async def refusal(client: Client, address: str) -> str:
    """What the server says of a resource that cannot be read."""
    with pytest.raises(MCPError) as caught:
        await client.read_resource(address)
    return caught.value.error.message


@pytest.mark.parametrize("mode", GENERATIONS)
def test_every_resource_is_listed_and_can_be_read(mode: str) -> None:
    """In both generations of the protocol; what is listed answers, and templates by their ids."""

    async def main() -> None:
        async with connected(mode=mode) as tools:
            client = tools.client
            started = await tools.bus.emit(
                "workflow.started", aggregate_type="workflow", aggregate_id="w-1", status=""
            )
            await tools.bus.emit("agent.started", aggregate_type="agent", aggregate_id="a-1",
                                 correlation_id="w-1", status="")  # fmt: skip
            listed = (await client.list_resources()).resources
            held = {str(each.uri): await read(client, str(each.uri)) for each in listed}
            assert set(held) == {
                "tidings://events/recent", "tidings://types", "tidings://health",
            }  # fmt: skip
            recent = held["tidings://events/recent"]
            assert [each["type"] for each in recent["events"]] == [
                "agent.started", "workflow.started",
            ]  # fmt: skip
            assert held["tidings://health"]["status"] == "healthy"
            known = {each["type"]: each for each in held["tidings://types"]["types"]}
            assert known["agent.started"]["aggregate_type"] == "agent"
            templates = (await client.list_resource_templates()).resource_templates
            assert [each.uri_template for each in templates] == [
                "tidings://events/{id}", "tidings://workflows/{id}",
            ]  # fmt: skip
            event = await read(client, f"tidings://events/{started.id}")
            assert event.items() >= recent["events"][1].items()
            tree = await read(client, "tidings://workflows/w-1")
            assert [(each["id"], each["depth"]) for each in tree["nodes"]] == [
                ("w-1", 0), ("a-1", 1),
            ]  # fmt: skip

    run(main())


def test_any_id_has_an_address() -> None:
    """Slashes, percent signs, dots, other scripts: what was kept under an id is read by it."""

    async def main() -> None:
        async with connected() as tools:
            for number, name in enumerate(AWKWARD):
                await tools.bus.emit("kept", id=name, payload={"n": number}, aggregate_type="agent",
                                     aggregate_id=name, correlation_id=name)  # fmt: skip
            for number, name in enumerate(AWKWARD):
                event = await read(tools.client, address_of(Place(EVENT, name)))
                assert (event["id"], event["payload"]) == (name, {"n": number})
                tree = await read(tools.client, address_of(Place(WORKFLOW, name)))
                assert tree["workflow_id"] == name
            assert (await read(tools.client, "tidings://events/a/b"))["id"] == "a/b"

    run(main())


@pytest.mark.parametrize(
    "address",
    [
        "tidings://", "tidings://nothing", "tidings://events/", "tidings://events", "tidings:types",
        "other://health", "eventuali://health", "tidings://events/%FF", "health", "",
    ],
)  # fmt: skip
def test_what_is_no_address_names_nothing(address: str) -> None:
    """Also where only the drop-in would know it, or its id is no text."""
    assert place_of(address, ("tidings",)) is None


def test_what_is_not_there_is_told() -> None:
    """An unknown id and an unknown address are errors that say which, never an empty answer."""

    async def main() -> None:
        async with connected() as tools:
            assert "no event 'nobody'" in await refusal(tools.client, "tidings://events/nobody")
            assert "no workflow 'w'" in await refusal(tools.client, "tidings://workflows/w")
            assert "resources/list" in await refusal(tools.client, "tidings://else")
            assert "no event" in await refusal(tools.client, f"tidings://events/{'x' * 300}")

    run(main())


def test_recent_events_are_few_and_their_payloads_cut() -> None:
    """The newest fit into an answer that a model can read; by its own address an event is whole."""

    async def main() -> None:
        async with connected() as tools:
            await tools.bus.emit_many({"type": "small", "payload": {"n": n}} for n in range(60))
            large = await tools.bus.emit("large", payload={"text": "x" * 500_000, "exit_code": 1})
            newest, *others = (await read(tools.client, "tidings://events/recent"))["events"]
            assert [each["payload"]["n"] for each in others] == list(range(59, 10, -1))
            assert (newest["id"], newest["payload_cut"]) == (large.id, True)
            assert newest["payload"]["exit_code"] == 1
            assert len(newest["payload"]["text"]) < 2000
            whole = await read(tools.client, f"tidings://events/{large.id}")
            assert whole["payload"] == large.payload
            assert whole["context"]["host"]

    run(main())


def test_own_types_are_no_news() -> None:
    """`tidings.*` events are left out of the newest, as everywhere."""

    async def main() -> None:
        async with connected() as tools:
            await tools.bus.emit("seen")
            await tools.bus.emit("tidings.noted")
            recent = await read(tools.client, "tidings://events/recent")
            assert [each["type"] for each in recent["events"]] == ["seen"]

    run(main())


def test_a_key_sees_its_own_projects() -> None:
    """Of another project there are no events, no workflows and no types that only occur there."""

    async def main() -> None:
        async with connected(door=KeyDoor("read", projects={"mine"})) as tools:
            other = await tools.bus.emit("secret_type", "theirs", aggregate_type="workflow",
                                         aggregate_id="w-theirs")  # fmt: skip
            own = await tools.bus.emit("known", "mine")
            client = tools.client
            recent = await read(client, "tidings://events/recent")
            assert [each["id"] for each in recent["events"]] == [own.id]
            assert "no event" in await refusal(client, f"tidings://events/{other.id}")
            assert "no workflow" in await refusal(client, "tidings://workflows/w-theirs")
            types = await read(client, "tidings://types")
            assert "secret_type" not in {each["type"] for each in types["types"]}

    run(main())


def test_a_key_that_may_only_emit_reads_nothing_but_health() -> None:
    """The refusal names the scope that is missing."""

    async def main() -> None:
        async with connected(door=KeyDoor("emit")) as tools:
            await tools.bus.emit("kept", id="kept-1")
            for path in ("events/recent", "events/kept-1", "workflows/w", "types"):
                assert "does not allow read" in await refusal(tools.client, f"tidings://{path}")
            assert (await read(tools.client, "tidings://health"))["status"] == "healthy"

    run(main())


def test_a_store_that_is_away_is_an_error(tmp_path: Path) -> None:
    """Never an empty answer; the health says so, and it is tried again at the next call."""
    away = tmp_path / "away"
    away.write_text("a file where a directory should be")

    async def main() -> None:
        bus = LazyBus(f"sqlite:///{away}/events.db")
        server = create_mcp(Ground(bus))
        async with Client(server) as client:
            for path in ("events/recent", "events/x", "workflows/x", "types"):
                assert "cannot be reached" in await refusal(client, f"tidings://{path}")
            health = await read(client, "tidings://health")
            assert (health["status"], health["database_connected"]) == ("unhealthy", False)
            assert "away" in health["detail"]
            away.unlink()
            assert (await read(client, "tidings://events/recent"))["events"] == []
            assert (await read(client, "tidings://health"))["status"] == "healthy"
        await server.close()
        await bus.close()

    run(main())


def test_the_addresses_of_eventuali_are_answered_in_its_words(tmp_path: Path) -> None:
    """Under the drop-in: plain text as there, the oldest of the newest first; ours beside it."""
    url = f"sqlite:///{tmp_path}/events.db"

    async def main() -> None:
        bus = LazyBus(url)
        server = create_mcp(Ground(bus, ("eventuali", "tidings")), "eventuali-mcp")

        async def text(path: str) -> str:
            (content,) = (await client.read_resource(f"eventuali://{path}")).contents
            assert content.mime_type == "text/plain"
            return content.text  # type: ignore[union-attr]  # it is no blob

        async with Client(server) as client:
            listed = [str(each.uri) for each in (await client.list_resources()).resources]
            assert listed[:3] == [
                "eventuali://recent-events", "eventuali://event-stream", "eventuali://health",
            ]  # fmt: skip
            assert "tidings://health" in listed
            assert await text("recent-events") == "No recent events available"
            events = [await bus().emit("agent.x.started"), await bus().emit("agent.x.completed")]
            expected = "\n".join(
                ("Recent Events:", *(f"- {e.timestamp}: {e.type} ({e.id[:8]}...)" for e in events))
            )
            assert await text("recent-events") == expected
            assert await text("event-stream") == expected
            assert "API Status: healthy\nConnected: True\nChecked: 2" in await text("health")
        await server.close()
        await bus.close()

    run(main())


def test_whoever_imports_the_server_reads_without_a_client(tmp_path: Path) -> None:
    """As people do with the server object of eventuali-mcp-server."""

    async def main() -> None:
        bus = LazyBus(f"sqlite:///{tmp_path}/events.db")
        server = create_mcp(Ground(bus))
        (content,) = await server.read_resource("tidings://events/recent")
        assert content.content == '{"events":[]}'
        await server.close()
        await bus.close()

    run(main())
