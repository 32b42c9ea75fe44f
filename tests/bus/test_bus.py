"""`Bus`: what is emitted is kept as it was said, with where it was made, and can be read back."""

from __future__ import annotations

from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings import context
from tidings.bus import Bus
from tidings.envelope import EventKind, create_event, from_event
from tidings.errors import (
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    InvalidSetting,
    StoreClosed,
    VersionConflict,
)
from tidings.event import Event
from tidings.store.memory import MemoryStore
from tidings.store.query import Filter, Query
from tidings.testing.strategies import words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ABOUT: dict[str, Any] = {"aggregate_type": "agent", "aggregate_id": "a"}

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aé\n🎉")
PAYLOADS = st.recursive(
    LEAVES.filter(lambda leaf: leaf not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """A bus on a new SQLite store."""
    with Bus(f"sqlite:///{tmp_path}/events.db?durability=process") as opened:
        yield opened


class TestEmit:
    """`emit` keeps what it is told."""

    def test_everything_said_comes_back(self, bus: Bus) -> None:
        """Each field is kept as given, and the event gets its place."""
        fields: dict[str, Any] = {
            "id": "mine",
            "timestamp": "2026-02-28T12:00:00+01:00",
            "correlation_id": "w",
            "causation_id": "c",
            "user_id": "ada",
            "extensions": {"x": 1},
            **ABOUT,
        }
        event = bus.emit("job", "figrecipe", "failure", {"n": [1, None]}, "ci", **fields)
        (read,) = bus.read()
        assert read == event
        assert (read.position, read.version) == (event.position, event.version) == (1, 1)
        said = read.to_dict()
        assert said.items() >= fields.items()
        assert (read.type, read.project, read.status) == ("job", "figrecipe", "failure")
        assert (read.payload, read.source) == ({"n": [1, None]}, "ci")

    def test_defaults(self, bus: Bus) -> None:
        """A type is enough."""
        event = bus.emit("job")
        assert (event.project, event.status, event.payload) == ("", "success", {})
        assert (event.source, event.correlation_id, event.causation_id) == ("local", None, None)

    @pytest.mark.parametrize("payload", [1, "x", True, [], [("a", 1)], {1, 2}])
    def test_a_payload_is_an_object(self, bus: Bus, payload: Any) -> None:
        """Anything else is refused with the field's name, and nothing is kept."""
        with pytest.raises(InvalidEvent, match=r"payload .* must be an object"):
            bus.emit("job", payload=payload)
        assert (bus.store.head(), bus.spool.waiting()) == (0, 0)

    def test_any_mapping_is_an_object(self, bus: Bus) -> None:
        """A payload need not be a dict."""
        assert bus.emit("job", payload=MappingProxyType({"a": 1})).payload == {"a": 1}

    def test_a_broken_rule_keeps_nothing(self, bus: Bus) -> None:
        """What an event may not say goes neither into the store nor into the spool."""
        with pytest.raises(InvalidEvent, match="type"):
            bus.emit("")
        assert (bus.store.head(), bus.spool.waiting()) == (0, 0)

    def test_the_largest_payload_is_a_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`TIDINGS_MAX_PAYLOAD` bounds what emit, emit_many and publish take."""
        monkeypatch.setenv("TIDINGS_MAX_PAYLOAD", "20")
        with Bus("memory:") as bus:
            large = {"a": "x" * 20}
            with pytest.raises(InvalidEvent, match="payload"):
                bus.emit("job", payload=large)
            with pytest.raises(InvalidEvent, match="payload"):
                bus.emit_many([{"type": "job", "payload": large}])
            with pytest.raises(InvalidEvent, match="payload"):
                bus.publish(create_event(EventKind.CREATED, large))
            assert bus.store.head() == 0

    def test_an_expected_version_holds_or_is_told(self, bus: Bus) -> None:
        """At another version the event is neither kept nor spooled."""
        assert bus.emit("step", **ABOUT, expected_version=0).version == 1
        with pytest.raises(VersionConflict) as told:
            bus.emit("step", **ABOUT, expected_version=0)
        assert (told.value.expected, told.value.actual) == (0, 1)
        assert (bus.store.head(), bus.spool.waiting()) == (1, 0)

    def test_an_id_is_kept_once(self, bus: Bus) -> None:
        """Sent again it is the same event; with other content it is refused."""
        first = bus.emit("job", id="a")
        assert bus.emit("job", id="a").position == first.position
        with pytest.raises(IdConflict):
            bus.emit("job", id="a", payload={"other": True})
        assert bus.store.head() == 1


class TestEmitMany:
    """`emit_many` keeps all or none."""

    def test_events_and_dicts_in_order(self, bus: Bus) -> None:
        """They stand side by side, and a type that says so is a failure."""
        kept = bus.emit_many([Event("a"), {"type": "b.failed"}, Event("c")])
        assert [event.position for event in kept] == [1, 2, 3]
        assert [(event.type, event.status) for event in bus.read()] == [
            ("a", "success"),
            ("b.failed", "failure"),
            ("c", "success"),
        ]

    def test_none_at_all(self, bus: Bus) -> None:
        """Nothing to keep is kept at once."""
        assert bus.emit_many([]) == []

    def test_one_that_contradicts_keeps_all_out(self, bus: Bus) -> None:
        """An id that is taken refuses the whole append."""
        bus.emit("job", id="a")
        with pytest.raises(IdConflict):
            bus.emit_many([Event("x"), Event("other", id="a"), Event("y")])
        assert (bus.store.head(), bus.spool.waiting()) == (1, 0)

    @pytest.mark.parametrize("wrong", [{"project": "p"}, {"type": "a", "b": 1}, "job", 1, None])
    def test_one_that_is_no_event_keeps_all_out(self, bus: Bus, wrong: Any) -> None:
        """A dict that breaks a rule, or is none, refuses the whole append."""
        with pytest.raises(InvalidEvent):
            bus.emit_many([Event("x"), wrong])
        assert (bus.store.head(), bus.spool.waiting()) == (0, 0)

    def test_dicts_are_given_the_context(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where they say nothing themselves; events stay as they are."""
        monkeypatch.setenv("TIDINGS_CORRELATION_ID", "w")
        monkeypatch.setenv("CI", "true")
        context.forget()
        own = {"type": "b", "source": "s", "correlation_id": "v", "context": {"host": "h"}}
        with Bus("memory:") as bus:
            bus.emit_many([{"type": "a", "correlation_id": None, "source": None}, own, Event("c")])
            a, b, c = bus.read()
        assert (a.source, a.correlation_id, "host" in a.context) == ("ci", "w", True)
        assert (b.source, b.correlation_id, b.context) == ("s", "v", {"host": "h"})
        assert (c.source, c.correlation_id, c.context) == ("local", None, {})


class TestPublish:
    """`publish` keeps an event or an envelope as it is."""

    def test_an_event_is_kept_unchanged(self, bus: Bus) -> None:
        """Not even the context is added."""
        event = Event("job", "p", payload=[1, 2], extensions={"a": 1})
        assert bus.publish(event) == event == bus.latest()

    @pytest.mark.parametrize("more", [{"subject": "agent/a"}, {"project": "p"}])
    def test_an_event_speaks_for_itself(self, bus: Bus, more: dict[str, Any]) -> None:
        """Subject and project are for envelopes."""
        with pytest.raises(InvalidEvent, match="is for envelopes"):
            bus.publish(Event("job"), **more)
        assert bus.store.head() == 0

    def test_an_expected_version(self, bus: Bus) -> None:
        """Holds for envelopes as for events."""
        envelope = create_event(EventKind.CREATED, {})
        assert bus.publish(envelope, subject="agent/a", expected_version=0).version == 1
        with pytest.raises(VersionConflict):
            bus.publish(create_event(EventKind.UPDATED, {}), subject="agent/a", expected_version=0)

    @pytest.mark.parametrize("wrong", [{}, {"kind": "created"}, "created", None, 1])
    def test_what_is_no_envelope_is_refused(self, bus: Bus, wrong: Any) -> None:
        """With what was wrong with it."""
        with pytest.raises(InvalidEvent, match="envelope"):
            bus.publish(wrong)
        assert bus.store.head() == 0

    def test_an_envelope_comes_back_unchanged(self, bus: Bus) -> None:
        """Whatever its payload and id, with or without a subject."""
        number = count()

        @settings(max_examples=40)
        @given(
            st.sampled_from(EventKind),
            PAYLOADS.filter(lambda payload: payload is not None),
            st.none() | words,
            st.none() | words | st.tuples(words, words).map("/".join),
        )
        def holds(kind: EventKind, payload: Any, name: str | None, subject: str | None) -> None:
            event_id = None if name is None else f"{name} {next(number)}"
            envelope = create_event(kind, payload, event_id)
            kept = bus.publish(envelope, subject=subject, project="p")
            read = bus.latest()
            assert read == kept
            assert from_event(read) == envelope
            assert repr(from_event(read)) == repr(envelope)  # 1, 1.0 and True are not one

        holds()

    def test_a_subject_is_the_aggregate(self, bus: Bus) -> None:
        """`type/id` says what it is about, and the project what it belongs to."""
        envelope = create_event(EventKind.DELETED, {"a": 1})
        event = bus.publish(envelope, subject="adapter/adapter-1", project="p")
        assert (event.aggregate_type, event.aggregate_id) == ("adapter", "adapter-1")
        assert (event.project, event.version) == ("p", 1)


class TestContext:
    """Where an event is made is added where it is made."""

    def test_the_process_is_told(self, bus: Bus) -> None:
        """`emit` and envelopes say host and process."""
        for event in (bus.emit("x"), bus.publish(create_event(EventKind.CREATED, 1))):
            assert event.context.keys() >= {"host", "pid", "cwd"}

    def test_ids_from_the_environment(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was set for the process counts where the caller says nothing."""
        monkeypatch.setenv("TIDINGS_CORRELATION_ID", "w")
        monkeypatch.setenv("TIDINGS_CAUSATION_ID", "c")
        context.forget()
        envelope = bus.publish(create_event(EventKind.CREATED, 1))
        for event in (bus.emit("x"), bus.emit("x", correlation_id=None), envelope):
            assert (event.correlation_id, event.causation_id) == ("w", "c")
        event = bus.emit("x", correlation_id="v", causation_id="d")
        assert (event.correlation_id, event.causation_id) == ("v", "d")

    def test_a_slurm_job_is_hpc(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its events belong to the job, wherever the caller does not say otherwise."""
        monkeypatch.setenv("SLURM_JOB_ID", "4711")
        monkeypatch.setenv("SLURM_CLUSTER_NAME", "alps")
        context.forget()
        event = bus.emit("x")
        assert (event.source, event.correlation_id) == ("hpc", "slurm:alps:4711")
        assert event.context["slurm"] == {"job_id": "4711", "cluster": "alps"}
        assert bus.emit("x", source="local").source == "local"
        assert bus.emit("x", source="").source == ""

    def test_without_context(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bus that says none adds nothing, and one whose context is off only the ids."""
        monkeypatch.setenv("TIDINGS_CORRELATION_ID", "w")
        context.forget()
        with Bus("memory:", context=False) as bus:
            bus.emit("x")
            bus.emit_many([{"type": "x"}])
            bus.publish(create_event(EventKind.CREATED, 1))
            for event in bus.read():
                assert (event.context, event.correlation_id) == ({}, None)
                assert event.source == "local"
        monkeypatch.setenv("TIDINGS_CONTEXT", "off")
        context.forget()
        with Bus("memory:") as bus:
            event = bus.emit("x")
            assert (event.context, event.correlation_id) == ({}, "w")


class TestReading:
    """What is kept can be asked for."""

    def test_latest(self, bus: Bus) -> None:
        """The newest one of all, or of a type; none where there is none."""
        assert bus.latest() is None
        first, second = bus.emit("a"), bus.emit("b")
        assert (bus.latest(), bus.latest("a"), bus.latest("c")) == (second, first, None)

    def test_history_is_newest_first(self, bus: Bus) -> None:
        """At most 20, or as many as asked for, of those that fit."""
        events = bus.emit_many([Event("job", str(number % 2)) for number in range(30)])
        assert bus.history() == events[:9:-1]
        assert bus.history(3) == events[:-4:-1]
        assert bus.history(2, project="0") == [events[28], events[26]]
        assert bus.history(0) == []

    def test_read_by_query_or_filters(self, bus: Bus) -> None:
        """Filters are the arguments of a query, and change one that is given."""
        events = bus.emit_many([Event(f"t{number}") for number in range(5)])
        query = Query(types="t*", exclude=Filter(types="t3"))
        assert list(bus.read(query)) == [*events[:3], events[4]]
        assert list(bus.read(query, after=1, limit=2)) == events[1:3]
        assert list(bus.read(after=3)) == events[3:]

    def test_filters_that_make_no_sense(self, bus: Bus) -> None:
        """Are told as such."""
        with pytest.raises(InvalidQuery, match="colour"):
            bus.read(colour="red")
        with pytest.raises(InvalidQuery, match="limit"):
            bus.history(-1)


class TestTypes:
    """Types that are made known are known to everybody."""

    def test_a_registered_type(self, bus: Bus) -> None:
        """Another bus on the same store knows it, too."""
        assert bus.get_type_info("fit_done") == {}
        bus.register_type("fit_done", "A model was fitted.", ["loss"])
        with Bus(bus.url) as other:
            assert "fit_done" in other.list_types()
            assert other.get_type_info("fit_done") == {
                "description": "A model was fitted.",
                "payload_keys": ["loss"],
            }

    def test_built_in_types(self, bus: Bus) -> None:
        """The seed's types are there from the start, in order."""
        assert {"test_complete", "job_done"} <= set(bus.list_types())
        assert bus.list_types() == sorted(bus.list_types())


class TestOpeningAndClosing:
    """A bus opens late and closes once."""

    def test_making_one_opens_nothing(self, tmp_path: Path) -> None:
        """So it does not fail because a store is away."""
        with Bus(f"sqlite:///{tmp_path}/away/events.db") as bus:
            assert bus.url == f"sqlite:///{tmp_path}/away/events.db"
            assert list(tmp_path.iterdir()) == []

    def test_the_default_is_in_the_home(self, own_home: Path) -> None:
        """Without a URL it is SQLite in `~/.tidings`."""
        with Bus() as bus:
            bus.emit("x")
        assert (own_home / ".tidings" / "events.db").exists()

    def test_a_url_that_names_no_backend(self) -> None:
        """Is said when the bus is made."""
        with pytest.raises(InvalidSetting, match="names no backend"):
            Bus("oracle://x")

    def test_a_store_may_be_given(self) -> None:
        """It is used as it is, and closed with the bus."""
        store = MemoryStore()
        with Bus(store) as bus:
            bus.emit("x")
            assert (store.head(), bus.store, repr(bus)) == (1, store, "Bus('memory:')")
        with pytest.raises(StoreClosed):
            store.head()

    def test_after_close_every_verb_says_so(self, bus: Bus) -> None:
        """And nothing goes to the spool; a second close does nothing."""
        bus.close()
        bus.close()
        for verb in (
            lambda: bus.emit("x"),
            lambda: bus.emit_many([Event("x")]),
            lambda: bus.publish(Event("x")),
            bus.latest,
            bus.history,
            lambda: list(bus.read()),
            lambda: bus.wait_for(timeout=0),
            lambda: bus.register_type("x"),
            bus.list_types,
        ):
            with pytest.raises(StoreClosed):
                verb()
        assert bus.spool.waiting() == 0
