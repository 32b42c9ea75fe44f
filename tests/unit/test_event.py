"""The event: what it says, what it refuses, and that nothing changes it."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidEvent, StoreDamaged
from tidings.event import Event
from tidings.fields import EncodedObject
from tidings.record import CHECKSUM, PAYLOAD, POSITION, RECORDED, TYPE, VERSION, checksum_of

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENT = "2026-01-01T12:00:00Z"
UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
NAMES = ["type", "project", "status", "source", "id", "aggregate_type", "aggregate_id"]
NAMES += ["correlation_id", "causation_id", "user_id"]
MAY_BE_EMPTY = {"project", "status", "source"}

CONTROLS = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)))
characters = st.characters(codec="utf-8", exclude_characters=CONTROLS)
words = st.text(characters, max_size=255)
names = st.text(characters, min_size=1, max_size=255)
texts = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
objects = st.dictionaries(texts, json_values, max_size=4)
timestamps = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.just("")


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Events of every kind, from hostile but allowed values."""
    about = draw(st.none() | st.tuples(names, names)) or (None, None)
    return Event(
        draw(names),
        draw(words),
        draw(words),
        draw(json_values),
        draw(words),
        draw(timestamps),
        id=draw(st.none() | names),
        aggregate_type=about[0],
        aggregate_id=about[1],
        correlation_id=draw(st.none() | names),
        causation_id=draw(st.none() | names),
        user_id=draw(st.none() | names),
        context=draw(st.none() | objects),
        extensions=draw(st.none() | objects),
    )


def stored(event: Event, **place: Any) -> Event:
    """The event as a store gives it back, with its place and its checksum."""
    record = list(event.record)
    record[POSITION] = place.get("position", 7)
    record[VERSION] = place.get("version")
    record[RECORDED] = place.get("recorded", 1_767_225_600_000_000)
    record[CHECKSUM] = checksum_of(tuple(record))
    return Event.from_record(tuple(record))


class TestSignature:
    """The seed's arguments, in the seed's order."""

    def test_is_that_of_the_seed(self) -> None:
        """The six documented arguments come first, by position, with the documented defaults."""
        parameters = list(inspect.signature(Event).parameters.values())[:6]
        assert [(p.name, p.default) for p in parameters] == [
            ("type", inspect.Parameter.empty),
            ("project", ""),
            ("status", "success"),
            ("payload", {}),
            ("source", "local"),
            ("timestamp", ""),
        ]

    def test_all_by_position(self) -> None:
        """The seed's fields are taken in their order."""
        event = Event("test_complete", "figrecipe", "failure", {"exit_code": 1}, "ci", MOMENT)
        assert event.type == "test_complete"
        assert event.project == "figrecipe"
        assert event.status == "failure"
        assert event.payload == {"exit_code": 1}
        assert event.source == "ci"
        assert event.timestamp == MOMENT

    def test_defaults(self) -> None:
        """Only the type is needed; what is left out says nothing."""
        event = Event("job_done")
        assert (event.project, event.status, event.source) == ("", "success", "local")
        assert (event.payload, event.context, event.extensions) == ({}, {}, {})
        assert (event.aggregate_type, event.aggregate_id, event.version) == (None, None, None)
        assert (event.correlation_id, event.causation_id, event.user_id) == (None, None, None)
        assert (event.position, event.recorded_at, event.redacted) == (None, None, False)

    def test_the_default_payload_is_nobodys(self) -> None:
        """Two events without a payload do not share one."""
        Event("a").payload["x"] = 1
        assert Event("b").payload == {}

    def test_other_fields_by_keyword(self) -> None:
        """The fields beside the seed's are taken by name and told by name."""
        fields = {
            "id": "build-42",
            "aggregate_type": "agent",
            "aggregate_id": "planner",
            "correlation_id": "w1",
            "causation_id": "c1",
            "user_id": "ada",
            "context": {"host": "n12"},
            "extensions": {"tracestate": "x"},
        }
        event = Event("agent.started", **fields)  # type: ignore[arg-type]  # each has its own type
        assert {field: getattr(event, field) for field in fields} == fields


class TestIdentity:
    """Ids, ours and foreign ones."""

    def test_ids_we_make_differ_and_increase(self) -> None:
        """Ids made one after the other sort in that order."""
        made = [Event("x").id for _ in range(50)]
        assert made == sorted(set(made))

    @pytest.mark.parametrize(
        "foreign", [UUID, UUID.upper(), UUID.replace("-", ""), "build-42", "🎉", " ", "x" * 255]
    )
    def test_foreign_ids_are_kept_as_they_are(self, foreign: str) -> None:
        """Any string of 1–255 characters is an id, also one that only looks like a UUID."""
        event = Event("x", id=foreign)
        assert event.id == foreign
        assert Event.from_dict(event.to_dict()).id == foreign

    def test_a_foreign_id_belongs_to_its_source(self) -> None:
        """One foreign id from two sources is two events; a UUID is one wherever it comes from."""
        assert hash(Event("x", source="a", id="1")) != hash(Event("x", source="b", id="1"))
        assert hash(Event("x", source="a", id=UUID)) == hash(Event("x", source="b", id=UUID))


class TestTime:
    """When it happened."""

    def test_now_where_none_is_given(self) -> None:
        """A timestamp we make is RFC 3339 in UTC with microseconds, and says so."""
        event = Event("x")
        assert len(event.timestamp) == len("2026-01-01T12:00:00.000000Z")
        assert event.timestamp.endswith("Z")
        assert not event.timestamp_given
        assert Event("x", timestamp=MOMENT).timestamp_given

    @pytest.mark.parametrize(
        "written",
        [
            MOMENT,
            "2026-01-01T13:00:00+01:00",
            "2026-01-01 12:00:00.000Z",
            "2026-01-01t12:00:00z",
            "20260101T120000Z",
        ],
    )
    def test_is_kept_as_written(self, written: str) -> None:
        """The producer's text stays; the instant beside it is one for all ways to write it."""
        event = Event("x", timestamp=written)
        assert event.timestamp == written
        assert event.instant == 1_767_268_800_000_000

    def test_is_no_timestamp(self) -> None:
        """What is no timestamp is refused, with an example of one."""
        with pytest.raises(InvalidEvent, match="timestamp 'yesterday' must be an ISO 8601"):
            Event("x", timestamp="yesterday")


class TestImmutable:
    """Nothing changes an event."""

    @pytest.mark.parametrize("field", ["type", "payload", "id", "record", "position", "anything"])
    def test_no_field_can_be_set_or_deleted(self, field: str) -> None:
        """Setting and deleting are refused, for fields there are and fields there are not."""
        event = Event("x", id="1", timestamp=MOMENT)
        before = event.record
        with pytest.raises(AttributeError, match=f"immutable: {field} cannot be set to 'y'"):
            setattr(event, field, "y")
        with pytest.raises(AttributeError, match=f"immutable: {field} cannot be deleted"):
            delattr(event, field)
        assert event.record is before

    def test_has_slots(self) -> None:
        """An event has no dictionary: a million of them stay small."""
        assert not hasattr(Event("x"), "__dict__")

    def test_the_payload_is_a_snapshot(self) -> None:
        """What the caller does to its payload, context or extensions afterwards changes nothing."""
        inner = [1]
        fields: dict[str, Any] = {"a": inner}
        event = Event("x", payload=fields, context=fields, extensions=fields)
        inner.append(2)
        fields["b"] = 3
        assert event.payload == event.context == event.extensions == {"a": [1]}

    def test_what_is_given_out_changes_nothing(self) -> None:
        """What a reader does to values it was given reaches neither record nor dictionary."""
        event = Event("x", payload={"a": [1]}, context={"a": [1]}, extensions={"a": [1]})
        whole = event.to_dict()
        event.payload["a"].append(2)
        event.context["a"].append(2)
        event.extensions["a"].append(2)
        event.to_dict()["payload"]["a"].append(2)
        assert event.to_dict() == whole
        assert Event.from_dict(event.to_dict()) == event


class TestEquality:
    """Equal is what says the same under the same id."""

    def test_of_the_same_content(self) -> None:
        """Two events made from the same values are equal, and one in a set."""
        first, second = (Event("x", payload={"a": 1}, id="1", timestamp=MOMENT) for _ in range(2))
        assert first == second
        assert len({first, second}) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"type": "y"},
            {"project": "p"},
            {"status": "failure"},
            {"payload": {"a": 2}},
            {"payload": {"a": 1.0}},
            {"source": "ci"},
            {"timestamp": "2026-01-01T12:00:01Z"},
            {"timestamp": "2026-01-01T13:00:00+01:00"},
            {"id": "2"},
            {"aggregate_type": "agent", "aggregate_id": "a"},
            {"correlation_id": "w"},
            {"causation_id": "c"},
            {"user_id": "u"},
            {"context": {"host": "n"}},
            {"extensions": {"e": 1}},
        ],
    )
    def test_of_other_content(self, change: dict[str, Any]) -> None:
        """A difference in any field makes another event."""
        same: dict[str, Any] = {"type": "x", "payload": {"a": 1}, "id": "1", "timestamp": MOMENT}
        assert Event(**same) != Event(**{**same, **change})

    def test_the_place_does_not_count(self) -> None:
        """An event is the same before and after a store took it."""
        event = Event("x", aggregate_type="agent", aggregate_id="a")
        kept = stored(event, position=3, version=2)
        assert (kept.position, kept.version) == (3, 2)
        assert kept == event
        assert hash(kept) == hash(event)

    def test_with_something_else(self) -> None:
        """An event equals no other kind of thing."""
        event = Event("x")
        assert event != event.to_dict()
        assert event != event.record

    def test_a_context_given_as_text_is_the_same(self) -> None:
        """A context encoded before makes the event that the object makes."""
        same: dict[str, Any] = {"type": "x", "id": "1", "timestamp": MOMENT}
        encoded = EncodedObject('{"host":"n12"}')
        assert Event(**same, context=encoded) == Event(**same, context={"host": "n12"})
        assert Event(**same, context=EncodedObject()) == Event(**same, context={}) == Event(**same)


class TestCopies:
    """Events go to other processes, and need no copying."""

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickled(self, protocol: int) -> None:
        """An event comes out of a pickle as it went in, its place included."""
        event = stored(Event("x", payload={"a": [1]}, context={"host": "n"}))
        again = pickle.loads(pickle.dumps(event, protocol))  # noqa: S301 - our own
        assert again == event
        assert again.record == event.record
        assert (again.payload, again.context, again.position) == ({"a": [1]}, {"host": "n"}, 7)

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
    def test_copied(self, copied: Callable[[Event], Event]) -> None:
        """A copy of what never changes is the thing itself."""
        event = Event("x")
        assert copied(event) is event


class TestDictionary:
    """`to_dict` and `from_dict`."""

    def test_of_a_plain_event(self) -> None:
        """The seed's six fields and the id, and no field that says nothing."""
        assert Event("x", "p", payload={"a": 1}, id="1", timestamp=MOMENT).to_dict() == {
            "type": "x",
            "project": "p",
            "status": "success",
            "payload": {"a": 1},
            "source": "local",
            "timestamp": MOMENT,
            "id": "1",
        }

    def test_of_a_stored_event(self) -> None:
        """What else an event has is told too, its place included."""
        event = Event(
            "x",
            id="1",
            timestamp=MOMENT,
            aggregate_type="agent",
            aggregate_id="a",
            correlation_id="w",
            causation_id="c",
            user_id="u",
            context={"host": "n"},
            extensions={"e": 1},
        )
        data = stored(event, position=3, version=2).to_dict()
        assert list(data)[:7] == [
            "type",
            "project",
            "status",
            "payload",
            "source",
            "timestamp",
            "id",
        ]
        assert {field: data[field] for field in list(data)[7:]} == {
            "aggregate_type": "agent",
            "aggregate_id": "a",
            "version": 2,
            "correlation_id": "w",
            "causation_id": "c",
            "user_id": "u",
            "position": 3,
            "context": {"host": "n"},
            "extensions": {"e": 1},
            "recorded_at": "2026-01-01T00:00:00.000000Z",
        }

    @given(event=events())
    def test_there_and_back(self, event: Event) -> None:
        """Any event comes back equal, also over JSON text."""
        data = event.to_dict()
        assert Event.from_dict(data) == event
        assert Event.from_dict(json.loads(json.dumps(data))) == event
        assert Event.from_dict(data).to_dict() == data

    @given(event=events(), position=st.integers(1, 2**63 - 1), version=st.integers(1, 2**63 - 1))
    def test_there_and_back_from_a_store(self, event: Event, position: int, version: int) -> None:
        """A stored event keeps its place on the way."""
        data = stored(event, position=position, version=version).to_dict()
        again = Event.from_dict(data)
        assert (again.position, again.version) == (position, version)
        assert again.to_dict() == data

    def test_of_a_redacted_event(self) -> None:
        """A redacted event has no payload, says so, and stays redacted."""
        record = list(Event("x", payload={"secret": 1}).record)
        record[PAYLOAD] = None
        event = Event.from_record(tuple(record))
        assert event.redacted
        assert (event.payload, event.to_dict()["payload"]) == (None, None)
        assert event.to_dict()["redacted"] is True
        again = Event.from_dict(event.to_dict())
        assert again.redacted
        assert again == event

    def test_a_payload_of_null_is_not_redacted(self) -> None:
        """JSON's null is a payload like any other."""
        event = Event("x", payload=None)
        assert event.payload is None
        assert not event.redacted
        again = Event.from_dict(event.to_dict())
        assert again == event
        assert not again.redacted

    def test_none_counts_as_left_out(self) -> None:
        """A field that is none takes its default, as foreign JSON often has it."""
        data = dict.fromkeys(
            ("id", "project", "aggregate_type", "context", "position", "timestamp")
        )
        event = Event.from_dict({"type": "x", **data})
        assert (event.project, event.context, event.position) == ("", {}, None)
        assert event.id

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            ({"type": "job.failed"}, "failure"),
            ({"type": "job.completed"}, "success"),
            ({"type": "job.completed", "payload": {"success": False}}, "failure"),
            ({"type": "job.started"}, ""),
            ({"type": "job.failed", "status": "success"}, "success"),
            ({"type": "job.failed", "status": ""}, ""),
        ],
    )
    def test_a_missing_status_is_inferred(self, data: dict[str, Any], status: str) -> None:
        """Where no status is given the type and the payload say it; a given one stays."""
        assert Event.from_dict(data).status == status

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ("x", "event 'x' must be an object with at least a type"),
            (None, "event None must be an object"),
            ([("type", "x")], "must be an object"),
            ({}, "type None must be given"),
            ({"type": None}, "type None must be given"),
            ({"type": "x", "typo": 1}, "field 'typo' is not known; put what is your own into"),
            ({"type": "x", 5: 1}, "field '5' is not known"),
            ({"type": "x", "position": 0}, "position 0 must be a whole number from 1 on"),
            ({"type": "x", "position": "3"}, "position '3' must be a whole number"),
            ({"type": "x", "position": True}, "position True must be a whole number"),
            ({"type": "x", "version": 2**63}, "version 9223372036854775808 must be a whole number"),
            ({"type": "x", "version": 1.5}, "version 1.5 must be a whole number"),
            ({"type": "x", "recorded_at": "today"}, "recorded_at 'today' must be an ISO 8601"),
            ({"type": "x", "redacted": "no"}, "redacted 'no' must be true or false"),
            ({"type": "x", "payload": {"a": float("nan")}}, "payload {'a': nan} must be a JSON"),
        ],
    )
    def test_what_is_no_event(self, data: Any, message: str) -> None:
        """A dictionary that is no event is refused, with the field at fault."""
        with pytest.raises(InvalidEvent) as refused:
            Event.from_dict(data)
        assert message in str(refused.value)

    def test_a_bound_on_the_payload(self) -> None:
        """The bound that a setting raised holds for what comes back, too."""
        data = Event("x", payload="x" * 2_000_000, max_payload=3_000_000).to_dict()
        assert Event.from_dict(data, max_payload=3_000_000).payload == "x" * 2_000_000
        with pytest.raises(InvalidEvent, match="takes 2,000,002 bytes as JSON; at most 1,048,576"):
            Event.from_dict(data)


class TestRules:
    """What an event refuses names the field, the value and the rule."""

    @pytest.mark.parametrize("field", NAMES)
    @pytest.mark.parametrize(
        ("value", "rule"),
        [
            ("x" * 256, "must be at most 255 characters long"),
            ("two\nlines", "must not contain control characters or line breaks"),
            ("nul\0", "must not contain control characters or line breaks"),
            ("esc\x1b[0m", "must not contain control characters or line breaks"),
            ("del\x7f", "must not contain control characters or line breaks"),
            ("c1\x85", "must not contain control characters or line breaks"),
            ("line\u2028separator", "must not contain control characters or line breaks"),
            ("lone\ud800", "must not contain control characters or line breaks"),
            (5, "must be a string"),
            (b"bytes", "must be a string"),
            (["list"], "must be a string"),
        ],
    )
    def test_of_names_and_words(self, field: str, value: Any, rule: str) -> None:
        """Every string field refuses what is too long, has control characters, or is no string."""
        with pytest.raises(InvalidEvent) as refused:
            Event(**with_field(field, value))
        assert (refused.value.field, refused.value.value) == (field, value)
        assert refused.value.rule == rule
        assert str(refused.value).startswith(f"{field} {repr(value)[:50]}")
        assert str(refused.value).endswith(rule)
        assert len(str(refused.value)) < 160

    @pytest.mark.parametrize("field", NAMES)
    def test_of_empty_ones(self, field: str) -> None:
        """A project, status or source may be empty; a type or an id may not."""
        if field in MAY_BE_EMPTY:
            assert getattr(Event(**with_field(field, "")), field) == ""
        else:
            with pytest.raises(InvalidEvent, match=f"{field} '' must not be empty"):
                Event(**with_field(field, ""))

    @pytest.mark.parametrize("field", NAMES)
    @pytest.mark.parametrize(
        "value",
        ["x" * 255, "🎉" * 255, " ", "a b", "o'brien", 'a"b', "İ\u200d", "\N{NO-BREAK SPACE}"],
    )
    def test_of_good_ones(self, field: str, value: str) -> None:
        """255 characters of any script are fine, counted as characters and not as bytes."""
        assert getattr(Event(**with_field(field, value)), field) == value

    def test_a_type_is_needed(self) -> None:
        """An event without a type is no event."""
        with pytest.raises(InvalidEvent, match="type None must be a string"):
            Event(None)  # type: ignore[arg-type]  # what a caller without types may do

    def test_members_of_an_enum_are_what_they_say(self) -> None:
        """A member of a str enum is kept as its value, not as a member."""

        class Kind(str, Enum):  # noqa: UP042 - what users write, EventKind included
            DONE = "job_done"

        event = Event(Kind.DONE)
        assert type(event.type) is str
        assert event.type == "job_done"

    @pytest.mark.parametrize(
        ("given", "missing"),
        [("aggregate_type", "aggregate_id"), ("aggregate_id", "aggregate_type")],
    )
    def test_of_an_aggregate(self, given: str, missing: str) -> None:
        """An aggregate has a type and an id, or there is none."""
        arguments: dict[str, Any] = {"type": "x", given: "agent"}
        with pytest.raises(InvalidEvent) as refused:
            Event(**arguments)
        assert (
            str(refused.value) == f"{missing} None must be given: aggregate type and id, or neither"
        )

    @pytest.mark.parametrize("field", ["context", "extensions"])
    @pytest.mark.parametrize("value", [[], [1], "text", 5, 0, "", False])
    def test_of_objects(self, field: str, value: Any) -> None:
        """Context and extensions are objects, and nothing else that is empty either."""
        with pytest.raises(InvalidEvent) as refused:
            Event(**{"type": "x", field: value})
        assert str(refused.value) == f"{field} {value!r} must be an object"

    def test_a_subclass_of_value_error(self) -> None:
        """Who knows nothing of Tidings' errors can catch a ValueError."""
        with pytest.raises(ValueError, match="type"):
            Event("")


class TestStored:
    """Events that come from a store."""

    def test_the_checksum_is_compared_when_touched(self) -> None:
        """A record that is not what was kept is told when its content is touched, not before."""
        event = stored(Event("x", payload={"a": 1}, context={"b": 2}, extensions={"c": 3}))
        event.verify()
        record = list(event.record)
        record[TYPE] = "y"
        for touch in TOUCHES:
            damaged = Event.from_record(tuple(record))
            assert damaged.type == "y"
            with pytest.raises(StoreDamaged, match="at position 7 is not what was kept there"):
                touch(damaged)

    def test_without_a_checksum_nothing_is_compared(self) -> None:
        """A store that keeps no checksums gives events that can be read."""
        event = Event("x", payload={"a": 1})
        event.verify()
        assert event.payload == {"a": 1}

    def test_the_payload_is_decoded_once(self) -> None:
        """Touching it twice gives the same value."""
        event = stored(Event("x", payload={"a": [1]}))
        assert event.payload is event.payload
        assert event.context is event.context

    def test_shown(self) -> None:
        """A shown event says what it is and where it is kept."""
        event = Event("x", "p", id="1")
        assert repr(event) == "Event('x', 'p', 'success', id='1')"
        assert repr(stored(event)) == "Event('x', 'p', 'success', id='1', position=7)"


TOUCHES: tuple[Callable[[Event], object], ...] = (
    lambda event: event.payload,
    lambda event: event.context,
    lambda event: event.extensions,
    lambda event: event.verify(),
    lambda event: event.to_dict(),
)


def with_field(field: str, value: Any) -> dict[str, Any]:
    """Arguments of an event that is in order but for one field."""
    about = {"aggregate_type": "agent", "aggregate_id": "a"} if "aggregate" in field else {}
    return {"type": "x", **about, field: value}
