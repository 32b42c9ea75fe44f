"""Who listens for changes is told of them: of all, of nothing else, and of no other project's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from tests.bus.loops import run
from tests.mcp_server.tool_calls import KeyDoor, connected
from tidings.mcp_server.making import Ground, LazyBus, create_mcp
from tidings.removing import redact
from tidings.store.query import Query

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.client.subscriptions import Subscription

    from tidings.mcp_server.access import Access

RECENT = "tidings://events/recent"


async def told(subscription: Subscription) -> str:
    """The address that a listener is told of next."""
    change = await anext(subscription)
    assert isinstance(change, ResourceUpdated)
    return change.uri


def agent(name: str, **fields: Any) -> dict[str, Any]:
    """An event about an agent."""
    return {"type": "agent.noted", "aggregate_type": "agent", "aggregate_id": name, **fields}


def test_a_listener_is_told_of_what_it_asked_for() -> None:
    """New events, one event, a workflow and a new type, each by the address that it gave."""
    awkward = "tidings://workflows/w%2f1"

    async def main() -> None:
        async with (
            connected() as tools,
            tools.client.listen(resource_subscriptions=[RECENT]) as all_,
        ):
            await tools.bus.emit("anything")
            assert await told(all_) == RECENT
            wanted = ["tidings://events/e-1", awkward, "tidings://types"]
            async with tools.client.listen(resource_subscriptions=wanted) as some:
                await tools.bus.emit("anything")
                assert await told(all_) == RECENT
                await tools.bus.emit("anything", id="e-1")
                assert await told(some) == "tidings://events/e-1"
                await tools.bus.emit("anything", correlation_id="w/1")
                assert await told(some) == awkward
                await tools.bus.emit("anything", aggregate_type="workflow", aggregate_id="w/1")
                assert await told(some) == awkward
                await tools.bus.emit("never_seen_before")
                assert await told(some) == "tidings://types"

    run(main())


def test_a_workflow_changes_with_agents_that_do_not_name_it() -> None:
    """An agent belongs to the workflow of its first event, whatever later ones leave out."""

    async def main() -> None:
        async with connected() as tools:
            await tools.bus.emit_many([agent("a-1", correlation_id="w-1"), agent("a-2")])
            wanted = ["tidings://workflows/w-1", "tidings://events/end"]
            async with tools.client.listen(resource_subscriptions=wanted) as listening:
                await tools.bus.emit_many([agent("a-1")])
                assert await told(listening) == "tidings://workflows/w-1"
                await tools.bus.emit_many([agent("a-2")])
                await tools.bus.emit("anything", id="end")
                assert await told(listening) == "tidings://events/end"

    run(main())


def test_own_types_are_no_news() -> None:
    """Who listens to all is not told of `tidings.*` events, which would feed on themselves."""

    async def main() -> None:
        async with connected() as tools:
            wanted = ["tidings://events/own", "tidings://events/end"]
            async with tools.client.listen(resource_subscriptions=wanted) as listening:
                await tools.bus.emit("tidings.noted", id="own")
                await tools.bus.emit("anything", id="end")
                assert await told(listening) == "tidings://events/end"

    run(main())


def test_many_changes_are_told_as_few() -> None:
    """A thousand events at once are some notifications, and the last is told after them."""

    async def main() -> None:
        async with connected() as tools:
            wanted = [RECENT, "tidings://events/end"]
            async with tools.client.listen(resource_subscriptions=wanted) as listening:
                await tools.bus.emit_many({"type": "many"} for _ in range(1000))
                await tools.bus.emit("anything", id="end")
                addresses = [await told(listening)]
                while addresses[-1] != "tidings://events/end":
                    addresses.append(await told(listening))
                assert 1 <= addresses.count(RECENT) < 50

    run(main())


def test_a_key_does_not_learn_of_other_projects() -> None:
    """Neither that there are events, nor that a workflow goes on, nor of a type."""

    async def main() -> None:
        async with connected(door=KeyDoor("read", projects={"mine"})) as tools:
            wanted = ["tidings://events/e-1", "tidings://workflows/w-1", "tidings://types", RECENT]
            async with tools.client.listen(resource_subscriptions=wanted) as listening:
                await tools.bus.emit("new_type", "theirs", id="e-1", correlation_id="w-1")
                await tools.bus.emit("other_type", "mine", id="e-2", correlation_id="w-2")
                assert await told(listening) == RECENT
                await tools.bus.emit("other_type", "mine", id="e-3", correlation_id="w-1")
                assert {await told(listening), await told(listening)} == {
                    RECENT, "tidings://workflows/w-1",
                }  # fmt: skip

    run(main())


def test_what_no_event_tells_of_is_told_too() -> None:
    """That a type was registered, and that events were redacted."""

    async def main() -> None:
        async with connected() as tools:
            kept = await tools.bus.emit("secret")
            wanted = ["tidings://types", f"tidings://events/{kept.id}"]
            async with tools.client.listen(resource_subscriptions=wanted) as listening:
                await tools.bus.register_type("secret", "What nobody should see")
                await asyncio.to_thread(redact, tools.bus.store, Query(types=["secret"]))
                assert {await told(listening), await told(listening)} == set(wanted)

    run(main())


def test_only_what_there_is_is_acknowledged() -> None:
    """What is no address is left out of the acknowledgement; too many are refused."""

    async def main() -> None:
        async with connected() as tools:
            wanted = [RECENT, "tidings://nothing", "file:///etc/passwd"]
            async with tools.client.listen(resource_subscriptions=wanted) as listening:
                assert listening.honored.resource_subscriptions == [RECENT]
            many = [f"tidings://events/{n}" for n in range(1001)]
            with pytest.raises(MCPError, match="at most 1000"):
                async with tools.client.listen(resource_subscriptions=many):
                    pass

    run(main())


def test_a_key_that_may_not_read_may_listen_for_health_alone() -> None:
    """The refusal names the scope that is missing."""

    async def main() -> None:
        async with connected(door=KeyDoor("emit")) as tools:
            with pytest.raises(MCPError, match="does not allow read"):
                async with tools.client.listen(resource_subscriptions=[RECENT]):
                    pass
            async with tools.client.listen(resource_subscriptions=["tidings://health"]) as well:
                assert well.honored.resource_subscriptions == ["tidings://health"]

    run(main())


class _ClosingDoor(KeyDoor):
    """A door whose key can be revoked."""

    open = True

    async def still_admits(self, _access: Access, /) -> bool:
        """Whether the key counts."""
        return self.open


def test_nobody_listens_longer_than_their_key() -> None:
    """The stream of a revoked key is ended in order, so that the client knows."""

    async def main() -> None:
        door = _ClosingDoor("read")
        async with (
            connected(door=door) as tools,
            tools.client.listen(resource_subscriptions=[RECENT]) as listening,
        ):
            door.open = False
            with pytest.raises(StopAsyncIteration):
                await anext(listening)

    run(main())


def test_who_listens_is_told_that_the_server_ends() -> None:
    """Streams are ended in order, with what was pending; new ones are refused."""

    async def main() -> None:
        bus = LazyBus("memory:")
        server = create_mcp(Ground(bus))
        async with Client(server) as client:
            async with client.listen(resource_subscriptions=[RECENT]) as listening:
                server.drain()
                with pytest.raises(StopAsyncIteration):
                    await anext(listening)
            with pytest.raises(MCPError, match="stopping"):
                async with client.listen(resource_subscriptions=[RECENT]):
                    pass
        await server.close()
        await bus.close()

    run(main())


def test_nothing_is_left_of_clients_that_went() -> None:
    """Also of one that went without a word, nothing follows the store any more."""

    async def main() -> None:
        bus = LazyBus("memory:")
        server = create_mcp(Ground(bus))
        before = len(asyncio.all_tasks())
        for _ in range(3):
            with pytest.raises(RuntimeError, match="gone"):
                await _leave_abruptly(server)
        async with (
            Client(server) as client,
            client.listen(resource_subscriptions=[RECENT]) as listening,
        ):
            await bus().emit("anything")
            assert await told(listening) == RECENT
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - a task's end tells nobody
            await asyncio.sleep(0.01)
        await server.close()
        await bus.close()

    run(main())


async def _leave_abruptly(server: Any) -> None:
    client = Client(server)
    await client.__aenter__()
    try:
        async with client.listen(resource_subscriptions=[RECENT]):
            raise RuntimeError("gone")
    finally:
        await client.__aexit__(None, None, None)


def test_health_is_told_when_it_changes(tmp_path: Path) -> None:
    """A listener may come while the store is away, and hears when it is back, and what is new."""
    away = tmp_path / "away"
    away.write_text("a file where a directory should be")

    async def main() -> None:
        bus = LazyBus(f"sqlite:///{away}/events.db")
        server = create_mcp(Ground(bus))
        wanted = ["tidings://health", RECENT]
        async with (
            Client(server) as client,
            client.listen(resource_subscriptions=wanted) as listening,
        ):
            assert await told(listening) == "tidings://health"
            away.unlink()
            assert {await told(listening), await told(listening)} == set(wanted)
            await bus().emit("anything")
            assert await told(listening) == RECENT
        await server.close()
        await bus.close()

    run(main())


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_the_older_generation_subscribes_one_by_one() -> None:
    """On its one connection it is told of what it subscribed to, and of nothing it left."""

    async def main() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()

        async def hear(message: Any) -> None:
            if isinstance(message, types.ResourceUpdatedNotification):
                heard.put_nowait(str(message.params.uri))

        bus = LazyBus("memory:")
        server = create_mcp(Ground(bus))
        async with Client(server, mode="legacy", message_handler=hear) as client:
            capabilities = client.server_capabilities
            assert capabilities is not None
            assert capabilities.resources is not None
            assert capabilities.resources.subscribe is True
            await client.subscribe_resource(RECENT)
            await bus().emit("anything")
            assert await heard.get() == RECENT
            await client.subscribe_resource("tidings://events/e-1")
            await client.unsubscribe_resource(RECENT)
            await client.unsubscribe_resource("tidings://events/never")
            await bus().emit("anything", id="e-1")
            assert await heard.get() == "tidings://events/e-1"
            with pytest.raises(MCPError, match="no resource"):
                await client.subscribe_resource("tidings://nothing")
        await server.close()
        await bus.close()
        assert heard.empty()

    run(main())
