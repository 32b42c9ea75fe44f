"""Whether a bus takes the declarations that make sense, and says of others what is wrong."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from tests.bus.loops import run
from tidings import AsyncBus, Bus, Event, Filter, Handler, Outbox, Query, Schedule, Worker
from tidings.errors import InvalidQuery, InvalidSetting, SchemaViolation, StoreClosed
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Service:
    """Handles as a method, and as an object that is called."""

    def handle(self, event: Event) -> None:
        """Handle an event."""

    async def __call__(self, event: Event) -> None:
        """Handle an event."""


async def add_to(total: list[int], event: Event) -> None:
    """Needs something bound before it is a handler."""
    total.append(event.position or 0)


async def yields_later(event: Event) -> Any:
    """Begins when it is iterated over."""
    yield event


def yields(event: Event) -> Iterator[Event]:
    """Begins when it is iterated over."""
    yield event


def takes(*_: object) -> None:
    """Take whatever comes."""


@pytest.fixture
def bus() -> Iterator[Bus]:
    """A bus on a store of its own."""
    with Bus("memory:") as opened:
        yield opened


def test_a_handler_is_kept_as_it_was_declared(bus: Bus) -> None:
    """`on` gives the function back, and the bus knows what to call, for what and how."""

    @bus.on(
        "order.*",
        name="ship",
        from_=17,
        partitions=4,
        attempts=3,
        on_failure="hold",
        outbox=True,
        project="shop",
        exclude=Filter(status="failure"),
    )
    def ship(event: Event, outbox: Outbox) -> tuple[Event, Outbox]:
        return event, outbox

    (handler,) = bus.handlers
    assert handler.function is ship
    assert (handler.name, handler.start, handler.partitions) == ("ship", 17, 4)
    assert (handler.on_failure, handler.outbox, handler.is_async) == ("hold", True, False)
    assert handler.schedule.attempts == 3
    assert handler.query.types == ("order.*",)
    assert handler.query.project == ("shop",)
    assert [
        handler.query.matches(Event("order.created", "shop", status))
        for status in ("success", "failure")
    ] == [True, False]


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (Service().handle, False),
        (Service(), True),
        (functools.partial(add_to, []), True),
        (lambda event: event, False),
        (print, False),
    ],
    ids=["method", "async object", "async partial", "lambda", "built in"],
)
def test_anything_that_takes_an_event_is_a_handler(
    bus: Bus, function: Callable[..., Any], is_async: bool
) -> None:
    """Methods, objects, partial functions and built-in ones are taken, and known for async."""
    bus.on(name="handle")(function)
    assert [handler.is_async for handler in bus.handlers] == [is_async]


def test_own_types_are_left_out_unless_named(bus: Bus) -> None:
    """A handler of everything is not called for what Tidings says of itself; one that asks is."""
    bus.on(name="all")(takes)
    bus.on("tidings.dead_letter", name="own")(takes)
    own = Event("tidings.dead_letter")
    assert [handler.query.matches(own) for handler in bus.handlers] == [False, True]


def test_an_async_bus_takes_the_same_declarations() -> None:
    """What is declared on an `AsyncBus` is its bus's, where a worker finds it."""
    bus = AsyncBus("memory:")
    bus.on("job.*", name="notify", schedule=Schedule([1, 2], jitter=0))(takes)
    assert [handler.name for handler in bus.handlers] == ["notify"]
    assert bus.handlers is bus.bus.handlers
    assert bus.handlers[0].schedule.pause(2) == 2.0
    bus.bus.close()


def test_a_worker_runs_the_handlers_of_an_async_bus() -> None:
    """Beside the loop that emits, in the same process: the outbox and the bus work in them."""

    async def main() -> list[Event | None]:
        async with AsyncBus("memory:") as bus:

            @bus.on("order.created", name="ship", outbox=True)
            async def ship(_: Event, outbox: Outbox) -> None:
                outbox.emit("shipment.created")
                await bus.emit("mail.sent")

            await bus.emit("order.created")
            with Worker(bus):
                return [
                    await bus.wait_for(after=0, timeout=PATIENCE, types=type)
                    for type in ("shipment.created", "mail.sent")
                ]

    assert None not in run(main())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": ""}, "1–100 of"),
        ({"name": "a/b"}, "1–100 of"),
        ({"name": "-a"}, "begin with a letter"),
        ({"name": "a" * 101}, "1–100 of"),
        ({"name": 7}, "1–100 of"),
        ({"partitions": 0}, "partitions 0 must be a whole number from 1 to 1024"),
        ({"partitions": 1025}, "from 1 to 1024"),
        ({"partitions": True}, "partitions True must be a whole number"),
        ({"attempts": 0}, "attempts 0 must be a whole number from 1 to 1000"),
        ({"attempts": 10**9}, "from 1 to 1000"),
        ({"attempts": "3"}, "attempts '3' must be a whole number"),
        ({"schedule": [1, 2]}, r"such as Schedule\(\[1, 10, 60\]\)"),
        ({"from_": "end"}, "from_ 'end' must be beginning, now, or a position"),
        ({"from_": -1}, "from_ -1 must be"),
        ({"from_": False}, "from_ False must be"),
        ({"on_failure": "stop"}, "on_failure 'stop' must be skip or hold"),
        ({"after": 3}, "after is for reading; a handler begins at from_="),
        ({"limit": 3}, "limit is for reading"),
        ({"types": "order.*"}, "types were given by position and as types="),
        ({"projct": "shop"}, "unexpected keyword argument 'projct'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(bus: Bus, options: dict[str, Any], says: str) -> None:
    """A wrong argument says what is wrong and what would be right, and nothing is declared."""
    with pytest.raises(InvalidSetting, match=says):
        bus.on("order.created", **{"name": "ship", **options})(takes)
    assert bus.handlers == []


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (7, {}, "a handler must be a function, and 7 is none"),
        (lambda: None, {}, "must take event by position"),
        (lambda _, __: None, {}, "missing a required argument"),
        (lambda _: None, {"outbox": True}, "must take event and outbox by position"),
        (yields, {}, "yields yields, so that calling it would do nothing"),
        (yields_later, {}, "calling it would do nothing"),
    ],
    ids=["no function", "none taken", "two wanted", "no outbox", "generator", "async generator"],
)
def test_what_could_not_be_called_is_refused(
    bus: Bus, function: Any, options: dict[str, Any], says: str
) -> None:
    """A function that an event could not be given to is refused where it is declared."""
    with pytest.raises(InvalidSetting, match=says):
        bus.on(name="ship", **options)(function)
    assert bus.handlers == []


@pytest.mark.parametrize(
    "options",
    [
        {"from_": "now"},
        {"partitions": 2},
        {"attempts": 3},
        {"schedule": Schedule([1])},
        {"on_failure": "hold"},
        {"outbox": True},
    ],
    ids=" ".join,
)
def test_a_listener_takes_no_promise_it_cannot_keep(bus: Bus, options: dict[str, Any]) -> None:
    """What only handlers have is refused where the name is missing, rather than ignored."""
    with pytest.raises(InvalidSetting, match="is for handlers with a name"):
        bus.on("order.created", **options)(takes)


def test_how_often_is_said_once(bus: Bus) -> None:
    """Attempts and a schedule contradict each other, so one of them is refused."""
    with pytest.raises(InvalidSetting, match="attempts and schedule both say"):
        bus.on(name="ship", attempts=3, schedule=Schedule([1]))(takes)


def test_a_name_is_taken_once(bus: Bus) -> None:
    """A second handler of the same name is refused, as they would share a position."""
    bus.on(name="ship")(takes)
    with pytest.raises(InvalidSetting, match=r"Handler\(takes, name='ship'\) has the name ship"):
        bus.on(name="ship")(lambda event: event)
    assert len(bus.handlers) == 1


def test_parentheses_left_out_are_noticed(bus: Bus) -> None:
    """`@bus.on` without a call says how it is written."""
    on: Any = bus.on
    with pytest.raises(InvalidSetting, match=r"write @bus.on\(\)"):
        on(takes)


def test_a_filter_that_makes_no_sense_is_refused(bus: Bus) -> None:
    """Filters have the rules of a query."""
    with pytest.raises(InvalidQuery, match="a \\* may stand at the end only"):
        bus.on("*.created", name="ship")


def test_a_handler_can_be_made_without_a_bus() -> None:
    """A declaration alone has the usual schedule: ten attempts."""
    handler = Handler(takes, name="ship", query=Query(types="order.*"))
    assert handler.schedule.attempts == 10
    assert repr(handler) == "Handler(takes, name='ship')"


# Outbox -------------------------------------------------------------------------------------------


def test_an_outbox_collects_and_keeps_nothing(bus: Bus) -> None:
    """Each verb of an outbox makes the event with its cause, in order; the store has none of it."""
    cause = Event("order.created", id="o1", correlation_id="cart-7")
    outbox = Outbox(bus, cause)
    outbox.emit("shipment.created", "shop", payload={"parcels": 2})
    outbox.emit_many([{"type": "invoice.created", "causation_id": "me"}])
    envelope = {"id": "e1", "kind": "created", "payload": {}, "timestamp": "2026-01-01T00:00:00Z"}
    outbox.publish(envelope, subject="shipment/s1")  # type: ignore[arg-type]  # as a service has it
    assert [(event.type, event.causation_id, event.correlation_id) for event in outbox.events] == [
        ("shipment.created", "o1", "cart-7"),
        ("invoice.created", "me", "cart-7"),
        ("created", "o1", "cart-7"),
    ]
    assert bus.store.head() == 0


def test_an_outbox_holds_payloads_against_their_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """With strict checks the handler learns at once what does not fit, and it is not collected."""
    monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", "strict")
    with Bus("memory:") as bus:
        bus.register_type("shipment.created", schema={"required": ["parcels"]})
        outbox = Outbox(bus, Event("order.created"))
        with pytest.raises(SchemaViolation, match="parcels"):
            outbox.emit("shipment.created")
        assert outbox.events == []


def test_an_outbox_that_was_closed_takes_nothing(bus: Bus) -> None:
    """A thread that a handler left behind hears that it is too late, as its event would be lost."""
    outbox = Outbox(bus, Event("order.created"))
    outbox.close()
    with pytest.raises(StoreClosed, match="has returned"):
        outbox.emit("shipment.created")
